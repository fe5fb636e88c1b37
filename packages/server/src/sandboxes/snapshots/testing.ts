/** Random workspaces in memory, made from a seed, for tests of snapshots. @module */
import { randomBytes } from "node:crypto";
import { createId } from "@exoloop/protocol/ids";
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import type { PlacedEntry, SandboxSession, TreeEntry } from "@exoloop/sandbox/session";
import type { Random } from "@exoloop/sandbox/testing/random";
import { BlobError, type BlobStore, sha256Of } from "../../blobs/store.ts";

export const testRoot = "/workspace";

export function createSandbox(provider: SandboxProvider): Promise<Sandbox> {
  const resources = { memoryBytes: 256 << 20, processes: 32, cpus: 1, diskBytes: 1 << 30, files: 100_000 };
  return provider.create({ id: createId("sandbox"), owner: "test", resources, environment: {} });
}

export async function place(session: SandboxSession, ...entries: readonly PlacedEntry[]): Promise<void> {
  await session.placeEntries({ entries });
}

export function file(path: string, content: Uint8Array | string, mode = 0o644): PlacedEntry & { kind: "file" } {
  return { kind: "file", path: `${testRoot}/${path}`, mode, content: Buffer.from(content) };
}

/** What a restored workspace must have in common with the one that was captured. */
export async function describeTree(session: SandboxSession): Promise<Readonly<Record<string, unknown>>> {
  const entries = await session.listTree({ path: testRoot });
  const contents = await readContents(session, entries);
  return Object.fromEntries<unknown>(
    entries
      .map((entry): readonly [string, unknown] => {
        const { path, kind, mode, size, linkTarget, modifiedAt } = entry;
        if (kind === "directory") return [path, { kind, mode }];
        if (kind === "symlink") return [path, { kind, linkTarget }];
        return [path, { kind, mode, size, modifiedAt: Math.floor(modifiedAt), content: contents.get(path) }];
      })
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  );
}

/** Checksums of content with its holes: a hole of 10 bytes counts as the text `~10`. */
async function readContents(session: SandboxSession, entries: readonly TreeEntry[]): Promise<Map<string, string>> {
  const paths = entries.filter(({ kind }) => kind === "file").map(({ path }) => path);
  const contents = new Map<string, string>();
  let [path, pieces, hole]: [string, Uint8Array[], number] = ["", [], 0];
  for await (const part of session.fetchFiles({ paths })) {
    const next = part.type === "piece" && !(part.piece instanceof Uint8Array) ? part.piece.holeBytes : null;
    if (next === null && hole > 0) pieces.push(Buffer.from(`~${hole}`));
    hole = next === null ? 0 : hole + next;
    if (part.type === "file") [path, pieces] = [part.path, []];
    else if (part.type === "piece") {
      if (part.piece instanceof Uint8Array) pieces.push(part.piece);
    } else contents.set(path, part.type === "end" ? sha256Of(Buffer.concat(pieces)) : part.reason);
  }
  return contents;
}

const names = ["a", "b", "c.txt", "d e", "ü\n", "-rf", "a.b"];
const modes = [0o644, 0o600, 0o755, 0o444, 0o000];

/** One change of a random workspace: something placed over what is there, or removed. */
export async function changeRandomly(random: Random, session: SandboxSession): Promise<void> {
  const entries = await session.listTree({ path: testRoot });
  const directories = [testRoot, ...entries.filter(({ kind }) => kind === "directory").map(({ path }) => path)];
  const others = entries.filter(({ kind }) => kind !== "directory");
  const action = random.below(10);
  if (action < 2 && entries.length > 0) {
    await session.deleteFile({ path: random.pick(entries).path, recursive: true });
    return;
  }
  const known = action < 4 && others.length > 0 ? random.pick(others).path : null;
  const path = known ?? `${random.pick(directories)}/${random.pick(names)}`;
  const there = entries.find((entry) => entry.path === path);
  if (there?.kind === "directory") await session.deleteFile({ path, recursive: true });
  if (action === 9)
    await place(session, { kind: "symlink", path, target: random.pick(["../x", "/etc", "a", testRoot]) });
  else if (action > 6) await place(session, { kind: "directory", path, mode: random.pick([0o755, 0o700, 0o1777]) });
  else await place(session, { kind: "file", path, mode: random.pick(modes), ...randomContent(random) });
}

function randomContent(random: Random) {
  const modifiedAt = 1_700_000_000_000 + random.below(1_000_000_000);
  const size = random.pick([0, 1, 100, 5000, 70_000]);
  const bytes = Buffer.alloc(size, `${random.below(20)} some text `);
  if (random.below(4) > 0) return { modifiedAt, content: bytes };
  const pieces = [{ holeBytes: 4096 * (1 + random.below(3)) }, bytes, { holeBytes: 8192 }].slice(random.below(2));
  return {
    modifiedAt,
    content: (async function* () {
      yield* pieces;
    })(),
  };
}

/** Blobs in memory that count, and that can be damaged. */
export function createMemoryBlobs() {
  const contents = new Map<string, { content: Uint8Array; storedAt: Date }>();
  const counts = { put: 0, get: 0, bytesPut: 0 };
  const store: BlobStore = {
    async put(organizationId, content) {
      const sha256 = sha256Of(content);
      const existed = contents.has(`${organizationId}/${sha256}`);
      if (!existed)
        contents.set(`${organizationId}/${sha256}`, { content: Uint8Array.from(content), storedAt: new Date() });
      counts.put += 1;
      counts.bytesPut += content.length;
      return { sha256, size: content.length, existed };
    },
    async get(organizationId, sha256) {
      counts.get += 1;
      const found = contents.get(`${organizationId}/${sha256}`);
      if (found === undefined) throw new BlobError("missing", `blob ${sha256} is missing from the store`);
      return found.content;
    },
    has: async (organizationId, sha256) => contents.has(`${organizationId}/${sha256}`),
    delete: async (organizationId, sha256) => void contents.delete(`${organizationId}/${sha256}`),
    async *list(organizationId) {
      for (const [key, { content, storedAt }] of contents) {
        const [owner, sha256 = ""] = key.split("/");
        if (owner === organizationId) yield { sha256, size: content.length, storedAt };
      }
    },
  };
  return { store, contents, counts };
}

export const noise = (size: number) => randomBytes(size);
