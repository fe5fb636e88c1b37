import { expect, it } from "vitest";
import { organizationMemoryMount as memory } from "../mounts.ts";
import type { CommitRequest, CommitView } from "../postgres/commit.ts";
import type { StoredFile } from "../postgres/rows.ts";
import type { StoredFiles } from "../postgres/stored-files.ts";
import type { FileActor } from "../store.ts";
import { createStoredBatch } from "./stored-batch.ts";

const actor: FileActor = { organizationId: "org_1", sessionId: null, toolUseId: null, via: "tool" };
const headOf = (path: string, size: number): StoredFile => ({
  memoryId: "mem_1",
  path,
  version: 1,
  revision: 1,
  sha256: path,
  size,
  executable: false,
  sessionId: null,
  userId: null,
  untrusted: false,
  updatedAt: new Date(0),
});

it("reads no contents of files that are too large together", async () => {
  let asked = 0;
  const commit = async (request: CommitRequest, decide: (view: Partial<CommitView>) => Promise<unknown>) => {
    const heads = new Map(request.paths.map((path) => [path, headOf(path, 1024 ** 2)]));
    const contents = (hashes: readonly string[]) => {
      asked += hashes.length;
      return Promise.resolve(new Map(hashes.map((hash) => [hash, new Uint8Array()])));
    };
    await decide({ heads, contents });
    return { revision: 1, versions: new Map(), result: new Set() };
  };
  const batch = createStoredBatch({ commit } as unknown as StoredFiles, memory);
  const change = (count: number) =>
    batch.transform(
      Array.from({ length: count }, (_none, index) => `/memory/org/${index}`),
      () => new Map(),
      actor,
    );
  await expect(change(33)).rejects.toMatchObject({ code: "too_large" });
  expect(asked).toBe(0);
  await change(32);
  expect(asked).toBe(32);
});
