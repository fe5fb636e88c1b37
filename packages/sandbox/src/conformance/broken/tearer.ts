/**
 * A broken provider: files are written in place, cut, in text mode, without modes; links are followed, to the host too;
 * errors are kept to itself.
 * @module
 */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { SandboxProvider } from "../../contract.ts";
import type { FetchedPart, PlacedEntry, SandboxSession, TreeEntry } from "../../session.ts";
import { distort } from "./distort.ts";

const mostBytes = 64 << 10;

function inTextMode(bytes: Uint8Array): Uint8Array {
  if (bytes.length > 1000) return bytes.slice(0, mostBytes);
  return Buffer.from(Buffer.from(bytes).toString("latin1").replaceAll("\n", "\r\n"), "latin1");
}

function sanitized(path: string): string {
  return `/${path.replaceAll(/[^ -~]/g, "_")}`.replace(/^\/+/, "/");
}

async function linkTarget(base: SandboxSession, path: string): Promise<string | null> {
  const entries = await base.listTree({ path: dirname(path) }).catch((): TreeEntry[] => []);
  return entries.find((entry) => entry.path === path)?.linkTarget ?? null;
}

function readFromHost(path: string): Uint8Array | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}

function reading(base: SandboxSession): Pick<SandboxSession, "readBinaryFile" | "readFile" | "fetchFiles"> {
  const read = async (path: string): Promise<Uint8Array> => {
    const target = await linkTarget(base, path);
    const ofHost = target === null ? null : readFromHost(target);
    const found = ofHost ?? (await base.readBinaryFile({ path: sanitized(path) }).catch(() => null));
    return (found ?? new Uint8Array()).slice(0, mostBytes);
  };
  return {
    readBinaryFile: ({ path }) => read(path),
    async readFile({ path }) {
      const bytes = await read(path);
      return new ReadableStream({
        start(controller) {
          controller.enqueue(bytes);
          controller.close();
        },
      });
    },
    async *fetchFiles({ paths }): AsyncGenerator<FetchedPart> {
      for (const path of paths) {
        const piece = await read(path);
        yield { type: "file", path };
        yield { type: "piece", piece };
        yield { type: "end", size: piece.length };
      }
    },
  };
}

function writing(base: SandboxSession): Pick<SandboxSession, "writeBinaryFile" | "writeFile" | "placeEntries"> {
  let pending: Uint8Array = new Uint8Array();
  const write = async (path: string, content: Uint8Array): Promise<void> => {
    // One temporary file for all.
    pending = inTextMode(content);
    const old = await base.readBinaryFile({ path: sanitized(path) }).catch(() => null);
    const whole = Buffer.concat([pending, (old ?? new Uint8Array()).subarray(pending.length)]);
    if (whole.length > 0) await base.writeBinaryFile({ path: sanitized(path), content: whole }).catch(() => {});
  };
  const placeOne = async (entry: PlacedEntry): Promise<void> => {
    if (entry.kind === "symlink") return base.placeEntries({ entries: [entry] });
    if (entry.kind === "directory") return;
    if (entry.content instanceof Uint8Array) return write(entry.path, entry.content);
    for await (const piece of entry.content)
      await write(entry.path, piece instanceof Uint8Array ? piece : new Uint8Array(piece.holeBytes));
  };
  return {
    writeBinaryFile: ({ path, content }) => write(path, content),
    async writeFile({ path, content }) {
      for await (const part of content) await write(path, part);
    },
    async placeEntries({ entries }) {
      for await (const entry of entries) await placeOne(entry).catch(() => {});
    },
  };
}

type Lookups = Pick<
  SandboxSession,
  "stat" | "listDirectory" | "listTree" | "surveyTree" | "inspectEntries" | "scanTree" | "deleteFile"
>;

function looking(base: SandboxSession): Lookups {
  const lookups: Lookups = {
    async stat({ path }) {
      const found = await base.stat({ path: sanitized(path) }).catch(() => null);
      return found === null ? null : { ...found, mode: 0o644, kind: "file" };
    },
    async listDirectory({ path }) {
      const entries = (await base.listDirectory({ path: sanitized(path) }).catch(() => null)) ?? [];
      return entries.map(({ name }) => ({ name, kind: "file" }));
    },
    async listTree({ path }) {
      const entries = await base.listTree({ path });
      const shallow = entries.filter((entry) => entry.path.split("/").length < 12 && !closedAbove(entries, entry));
      return shallow
        .slice(0, 1000)
        .map((entry) => ({ ...entry, allocatedBytes: entry.size, fingerprint: `${entry.size}`, linkTarget: null }));
    },
    async surveyTree(options) {
      const entries = await lookups.listTree(options);
      return { fingerprint: `${entries.length}`, entries: () => entries };
    },
    async inspectEntries({ paths }) {
      const entries = (await lookups.listTree({ path: "/workspace" })).filter(({ path }) => paths.includes(path));
      return entries;
    },
    async *scanTree(options) {
      yield (await lookups.listTree(options)).toReversed();
    },
    async deleteFile({ path }) {
      await base.deleteFile({ path: sanitized(path), recursive: true }).catch(() => {});
      return true;
    },
  };
  return lookups;
}

function closedAbove(entries: readonly TreeEntry[], { path }: TreeEntry): boolean {
  return entries.some((above) => above.kind === "directory" && above.mode === 0 && path.startsWith(`${above.path}/`));
}

export function createTearer(base: SandboxProvider): SandboxProvider {
  return distort(base, { session: (session) => ({ ...reading(session), ...writing(session), ...looking(session) }) });
}
