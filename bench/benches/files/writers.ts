/** Many writers edit one file at the same time: how many of their edits are not in it afterwards. @module */
import type { BenchContext, Row } from "../../bench.ts";
import { toRow } from "../../statistics.ts";
import type { StoredContender } from "./exoloop.ts";

const writers = 20;
const edits = 50;

export async function measureWriters({ note, progress }: BenchContext, stored: StoredContender): Promise<Row[]> {
  progress(`${writers} writers, ${edits} edits each, of one file`);
  const path = `${stored.root}/shared-by-writers.md`;
  const owner = await stored.openSession();
  await owner.store.write(path, new TextEncoder().encode("start\nend\n"), owner.actor(), null);
  const times: number[] = [];
  const write = async (writer: number) => {
    const { store, actor } = await stored.openSession();
    for (let edit = 0; edit < edits; edit += 1) {
      const start = performance.now();
      const line = `writer ${writer} edit ${edit};`;
      await store.edit(path, { oldText: "end\n", newText: `${line}\nend\n`, all: false }, actor());
      times.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  const text = new TextDecoder().decode((await owner.store.read(path)).bytes);
  const lines = new Set(text.split("\n").filter((line) => line.endsWith(";")));
  const figures = toRow(times, { id: "edit", unit: "ms", goal: null });
  note(
    `${writers * edits} edits of one file by ${writers} writers at a time: p50 ${figures.p50} ms, p99 ${figures.p99} ms.`,
  );
  return [toRow([writers * edits - lines.size], { id: "writers_lost", unit: "edits", goal: 0 })];
}
