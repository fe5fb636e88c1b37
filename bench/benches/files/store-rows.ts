/** What reading, changing and finding files costs, beside the file system and its tools, just-bash and AgentFS. @module */
import { statfsSync } from "node:fs";
import type { BenchContext, Row } from "../../bench.ts";
import { percentile, toRow } from "../../statistics.ts";
import { createAgentFs } from "./agentfs.ts";
import type { Contender } from "./contender.ts";
import type { Corpus } from "./corpus.ts";
import { createDisk, findRipgrep } from "./disk.ts";
import type { StoredContender } from "./exoloop.ts";
import { createJustBash } from "./just-bash.ts";
import { createOperations, measureOperation, type Operation, worstPattern } from "./operations.ts";

/** How many times what the file system's own tools take. */
const goals: Readonly<Record<string, number>> = {
  read: 2.5,
  edit: 2.5,
  glob_10k: 0.25,
  grep_rare: 0.3,
  grep_100: 0.3,
  grep_common: 6,
  grep_worst: 6,
};

/** Of a peer's reads, writes and edits; and how often it searches, which takes some of them seconds. */
const peerRounds = 100;
const peerSearches = 2;

/** In the first bytes of a file system that Linux tells of. */
const fileSystems: ReadonlyMap<number, string> = new Map([
  [0xef53, "ext4"],
  [0x58465342, "XFS"],
  [0x9123683e, "btrfs"],
  [0x01021994, "tmpfs"],
  [0x794c7630, "overlayfs"],
]);

export async function measureStore(context: BenchContext, corpus: Corpus, stored: StoredContender): Promise<Row[]> {
  const { note, progress, directory, option } = context;
  progress("disk: writing the corpus");
  const ripgrep = await findRipgrep();
  if (ripgrep === null)
    note("ripgrep is missing (apt-get install ripgrep): searches for text have no peer and no goal.");
  const disk = await createDisk(directory, corpus, ripgrep);
  note(
    `Files of seed ${option("seed")}: ${corpus.files.length}, ${(corpus.bytes / 1e6).toFixed(1)} MB, sha256 ${corpus.sha256.slice(0, 16)}. The peer is ${describeFileSystem(directory)} with Node.js' own calls, find and ${ripgrep?.version ?? "no ripgrep"}; goals are times its p50. grep_worst looks for ${worstPattern}; grep_common ends after 250 lines, ripgrep as by head.`,
  );
  const operations = createOperations(corpus, option("samples"), option("searches"));
  const rows: Row[] = [];
  for (const operation of operations) {
    const contenders = ripgrep === null && operation.id.startsWith("grep_") ? [stored] : [stored, disk];
    const samples = await measureOperation(operation, contenders);
    rows.push(rowOf(operation, samples.get(stored) ?? [], samples.get(disk)));
    const last = rows.at(-1);
    progress(`${operation.id}: p50 ${last?.p50} ms, ${last?.ratio} times ${last?.peer} ms`);
  }
  if (option("peers") > 0) {
    await measurePeer(context, operations, () => createJustBash(corpus));
    await measurePeer(context, operations, () => createAgentFs(directory, corpus));
  }
  await disk.close();
  return rows;
}

function rowOf({ id }: Operation, ours: readonly number[], theirs: readonly number[] | undefined): Row {
  if (theirs === undefined) return toRow(ours, { id, unit: "ms", goal: null });
  const share = goals[id];
  const goal = share === undefined ? null : Number((share * percentile(theirs, 0.5)).toPrecision(4));
  return toRow(ours, { id, unit: "ms", goal, peer: theirs });
}

/** Milliseconds for one operation of a peer: some take minutes. */
const peerPatience = 20_000;

/** Its figures are notes: nothing is held against them. */
async function measurePeer(
  { note, progress }: BenchContext,
  operations: readonly Operation[],
  create: () => Promise<Contender>,
): Promise<void> {
  let peer: Contender | null = null;
  const figures: string[] = [];
  try {
    peer = await create();
    progress(`${peer.name}: filled`);
    for (const operation of operations) {
      const times = operation.expected === 0 || operation.expected === null ? peerRounds : peerSearches;
      const isSearch = operation.id.startsWith("grep_");
      figures.push(await measureFigure(operation, peer, Math.min(operation.times, isSearch ? peerSearches : times)));
      progress(`${peer.name}: ${figures.at(-1)}`);
    }
    note(`${peer.name} in the same run, p50/p99 in ms: ${figures.join(", ")}.`);
  } catch (error) {
    note(`${peer?.name ?? "A peer"} was not measured: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await peer?.close();
  }
}

async function measureFigure(operation: Operation, peer: Contender, times: number): Promise<string> {
  const own = (await measureOperation(operation, [peer], { times, patience: peerPatience })).get(peer) ?? [];
  const [middle, high] = [percentile(own, 0.5), percentile(own, 0.99)];
  const few = own.length < times ? ` (${own.length} of ${times} times)` : "";
  return `${operation.id} ${middle.toPrecision(3)}/${high.toPrecision(3)}${few}`;
}

function describeFileSystem(directory: string): string {
  const { type } = statfsSync(directory);
  return fileSystems.get(type) ?? `a file system of type ${type.toString(16)}`;
}
