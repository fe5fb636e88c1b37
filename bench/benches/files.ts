/**
 * Stored files: what it costs to read, change and find them, beside a file system with its own tools; and whether
 * anything is lost when many change one file.
 * @module
 */
import type { Bench, BenchContext, Row } from "../bench.ts";
import { type Corpus, createCorpus } from "./files/corpus.ts";
import { createExoloop, type StoredContender } from "./files/exoloop.ts";
import { measureProjection } from "./files/projection-rows.ts";
import { measureStore } from "./files/store-rows.ts";
import { measureWriters } from "./files/writers.ts";

interface World {
  readonly context: BenchContext;
  readonly corpus: Corpus;
  readonly stored: StoredContender;
}

/** In this order; `--only` counts from 1. */
const groups: readonly ((world: World) => Promise<Row[]>)[] = [
  ({ context, corpus, stored }) => measureStore(context, corpus, stored),
  ({ context, stored }) => measureWriters(context, stored),
  ({ context, stored }) => measureProjection(context, stored.database),
];

async function run(context: BenchContext): Promise<Row[]> {
  const { directory, option, progress } = context;
  const only = option("only");
  progress("making and storing the corpus");
  const corpus = createCorpus({ files: option("files"), bytes: option("megabytes") * 1e6, seed: option("seed") });
  const stored = await createExoloop(directory, corpus);
  try {
    const rows: Row[] = [];
    for (const [index, measure] of groups.entries()) {
      if (only === 0 || only === index + 1) rows.push(...(await measure({ context, corpus, stored })));
    }
    return rows;
  } finally {
    await stored.close();
  }
}

export const bench: Bench = {
  name: "files",
  description: "stored files beside a file system: reading, changing, finding, many writers",
  options: [
    { name: "files", description: "of the corpus", default: 10_000 },
    { name: "megabytes", description: "of the corpus", default: 50 },
    { name: "seed", description: "of the corpus", default: 20_261_126 },
    { name: "samples", description: "how many reads, writes and edits", default: 300 },
    { name: "searches", description: "how often each search is made", default: 30 },
    { name: "peers", description: "0: without just-bash and AgentFS", default: 1 },
    { name: "only", description: "one group of rows alone, counted from 1: store, writers, projection", default: 0 },
  ],
  run,
};
