/** Cases about placing many entries at once: what restoring a snapshot is made of. @module */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox } from "../../contract.ts";
import type { FilePiece, PlacedEntry, TreeEntry } from "../../session.ts";
import { claim, claimBytes, claimEqual, claimFileError } from "../claims.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { fetched, noise, place, printed, readText, text, treeOf, writeText } from "../steps.ts";

async function* piecesOf(...pieces: readonly FilePiece[]): AsyncGenerator<FilePiece> {
  for (const piece of pieces) yield piece;
}

const plainFile = (path: string): PlacedEntry => ({ kind: "file", path, mode: 0o644, content: text("x") });

async function* brokenPieces(): AsyncGenerator<FilePiece> {
  yield noise(200_000);
  throw new Error("the source broke");
}

/** Everything below /workspace of one sandbox, put into another. */
async function copyTree(from: Sandbox, to: Sandbox): Promise<void> {
  const entries: PlacedEntry[] = [];
  const tree = await from.session.listTree({ path: "/workspace" });
  const contents = new Map(
    (
      await fetched(
        from,
        tree.filter(({ kind }) => kind === "file").map(({ path }) => path),
      )
    ).map((file) => [file.path, file.bytes]),
  );
  const byPath = tree.toSorted((left, right) => (left.path < right.path ? -1 : 1));
  for (const { path, kind, mode, modifiedAt, linkTarget } of byPath) {
    if (kind === "directory") entries.push({ kind, path, mode });
    if (kind === "symlink") entries.push({ kind, path, target: linkTarget ?? "" });
    if (kind === "file") entries.push({ kind, path, mode, modifiedAt, content: contents.get(path) ?? text("lost") });
  }
  await place(to, entries);
}

const comparable = ({ path, kind, size, mode, modifiedAt, linkTarget }: TreeEntry) => ({
  path,
  kind,
  mode: kind === "symlink" ? 0 : mode,
  size: kind === "directory" ? 0 : size,
  modifiedAt: kind === "file" ? modifiedAt : 0,
  linkTarget,
});

export const placeCases: readonly ConformanceCase[] = [
  {
    id: "place.round-trip",
    level: "MUST",
    capability: null,
    sentence: "A whole tree moves to another sandbox with contents, modes, times and links.",
    async run(context) {
      const from = await context.awake();
      const to = await context.awake();
      await writeText(from, "/workspace/src/main.txt", "content", 0o644);
      await writeText(from, "/workspace/bin/run", "#!/bin/sh\n", 0o755);
      await writeText(from, "/workspace/secret/key", "k", 0o400);
      await from.session.writeBinaryFile({ path: "/workspace/žluť 🐎", content: noise(100_000) });
      await printed(
        from,
        "mkdir empty; ln -s ../src/main.txt bin/link; ln -s /etc/passwd outside; chmod 700 secret; sleep 0.02",
      );
      await copyTree(from, to);
      const [before, after] = await Promise.all([treeOf(from, "/workspace"), treeOf(to, "/workspace")]);
      const sorted = (tree: ReadonlyMap<string, TreeEntry>) =>
        [...tree.values()].map(comparable).toSorted((left, right) => (left.path < right.path ? -1 : 1));
      const [expected, found] = [sorted(before), sorted(after)];
      claimEqual(
        found.map(({ path }) => path),
        expected.map(({ path }) => path),
        "paths",
      );
      for (const [index, entry] of found.entries()) claimEqual(entry, expected[index], `${entry.path}`);
      claimEqual(await readText(to, "/workspace/bin/link"), "content", "through a link");
      claimBytes(await to.session.readBinaryFile({ path: "/workspace/žluť 🐎" }), noise(100_000), "content");
    },
  },
  {
    id: "place.modified-at",
    level: "MUST",
    capability: null,
    sentence: "A placed file has the mode and, to the millisecond, the time given.",
    async run(context) {
      const sandbox = await context.awake();
      const path = "/workspace/old";
      await place(sandbox, [{ kind: "file", path, mode: 0o604, modifiedAt: 1_234_567_890_123, content: text("x") }]);
      const entry = (await treeOf(sandbox, "/workspace")).get(path);
      claimEqual([entry?.mode, entry?.modifiedAt], [0o604, 1_234_567_890_123], "mode and time");
    },
  },
  {
    id: "place.holes",
    level: "MUST",
    capability: "holes",
    sentence: "Holes are placed as holes, and read as zeros.",
    async run(context) {
      const sandbox = await context.awake();
      const path = "/workspace/sparse";
      const content = piecesOf(text("head"), { holeBytes: 10_000_000 }, text("tail"), { holeBytes: 5_000_000 });
      await place(sandbox, [{ kind: "file", path, mode: 0o644, content }]);
      const entry = (await treeOf(sandbox, "/workspace")).get(path);
      claimEqual(entry?.size, 15_000_008, "size");
      claim(entry !== undefined && entry.allocatedBytes < 1_000_000, `it takes up ${entry?.allocatedBytes} bytes`);
      const bytes = await sandbox.session.readBinaryFile({ path });
      claimEqual(Buffer.from(bytes?.subarray(10_000_004, 10_000_009) ?? []).toString(), "tail\0", "after the hole");
    },
  },
  {
    id: "place.replaces",
    level: "MUST",
    capability: null,
    sentence: "An entry replaces a file or link that is there; a directory keeps its content.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/d/kept", "kept");
      await writeText(sandbox, "/workspace/target", "target");
      await printed(sandbox, "ln -s target link; printf x > file");
      await place(sandbox, [
        { kind: "directory", path: "/workspace/d", mode: 0o711 },
        { kind: "file", path: "/workspace/link", mode: 0o644, content: text("new") },
        { kind: "symlink", path: "/workspace/file", target: "target" },
      ]);
      claimEqual(await readText(sandbox, "/workspace/d/kept"), "kept", "in the directory");
      const tree = await treeOf(sandbox, "/workspace");
      claimEqual(tree.get("/workspace/d")?.mode, 0o711, "the directory's mode");
      claimEqual(tree.get("/workspace/link")?.kind, "file", "what was a link");
      claimEqual(await readText(sandbox, "/workspace/target"), "target", "what the link pointed to");
      claimEqual(tree.get("/workspace/file")?.linkTarget, "target", "what was a file");
    },
  },
  {
    id: "place.no-link-followed",
    level: "MUST",
    capability: null,
    sentence: "Placing follows no link on the way, whether it leads within the sandbox or out of it.",
    async run(context) {
      const host = mkdtempSync(join(tmpdir(), "conformance-"));
      try {
        const sandbox = await context.awake();
        await printed(sandbox, "mkdir real; ln -s real inside");
        await place(sandbox, [{ kind: "symlink", path: "/workspace/out", target: host }]);
        for (const path of ["/workspace/inside/file", "/workspace/out/file"]) {
          const placing = place(sandbox, [{ kind: "file", path, mode: 0o644, content: text("x") }]);
          await claimFileError(placing, null, `placing ${path}`);
        }
        claimEqual(await readText(sandbox, "/workspace/real/file"), null, "behind the link within");
        claimEqual(readdirSync(host), [], "behind the link out of it");
      } finally {
        rmSync(host, { recursive: true, force: true });
      }
    },
  },
  {
    id: "place.no-way-up",
    level: "MUST",
    capability: null,
    sentence: "A path without a root is refused, and no number of `..` leads out of the sandbox.",
    async run(context) {
      const host = mkdtempSync(join(tmpdir(), "conformance-"));
      try {
        const sandbox = await context.awake();
        await claimFileError(place(sandbox, [plainFile("relative/x")]), null, "a relative path");
        const path = `/workspace${"/..".repeat(12)}${host}/x`;
        await place(sandbox, [plainFile(path)]).catch(() => {});
        claimEqual(readdirSync(host), [], "a directory of the host");
      } finally {
        rmSync(host, { recursive: true, force: true });
      }
    },
  },
  {
    id: "place.first-error",
    level: "MUST",
    capability: null,
    sentence: "At an entry that cannot be placed it stops with an error; those before it are there.",
    async run(context) {
      const sandbox = await context.awake();
      const paths = ["/workspace/first", "/workspace/before", "/workspace/before/below"];
      await claimFileError(place(sandbox, paths.map(plainFile)), null, "placing below a file");
      claimEqual(await readText(sandbox, "/workspace/first"), "x", "the first");
      claimEqual(await readText(sandbox, "/workspace/before"), "x", "the one before");
    },
  },
  {
    id: "place.atomic-file",
    level: "MUST",
    capability: null,
    sentence: "A file whose content breaks off is not placed, and what was there stays.",
    async run(context) {
      const sandbox = await context.awake();
      const path = "/workspace/d/file";
      await writeText(sandbox, path, "old");
      const broken = place(sandbox, [{ kind: "file", path, mode: 0o644, content: brokenPieces() }]);
      const outcome = await broken.then(
        () => "placed",
        () => "refused",
      );
      claimEqual(outcome, "refused", "outcome");
      claimEqual(await readText(sandbox, path), "old", "content");
      claimEqual([...(await treeOf(sandbox, "/workspace/d")).keys()], [path], "entries beside it");
    },
  },
  {
    id: "place.into-system",
    level: "MUST",
    capability: null,
    sentence: "Nothing is placed outside what the workload may write.",
    async run(context) {
      const sandbox = await context.awake();
      const entry: PlacedEntry = { kind: "file", path: "/usr/exoloop-placed", mode: 0o644, content: text("x") };
      await claimFileError(place(sandbox, [entry]), "no_permission", "into the system");
    },
  },
];
