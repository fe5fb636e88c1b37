/** Cases about moving many files at once: what snapshots and restoring are made of. @module */
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

const fetchCases: readonly ConformanceCase[] = [
  {
    id: "fetch.order",
    level: "MUST",
    capability: null,
    sentence: "Files are fetched in the order asked for, whole, each ended with its size.",
    async run(context) {
      const sandbox = await context.awake();
      const contents = [noise(2_500_000), new Uint8Array(), noise(10, 3)];
      for (const [index, content] of contents.entries())
        await sandbox.session.writeBinaryFile({ path: `/workspace/f${index}`, content });
      const files = await fetched(sandbox, ["/workspace/f2", "/workspace/f0", "/workspace/f1"]);
      claimEqual(
        files.map(({ path, end }) => [path, end]),
        [
          ["/workspace/f2", 10],
          ["/workspace/f0", 2_500_000],
          ["/workspace/f1", 0],
        ],
        "files",
      );
      claimBytes(files[1]?.bytes ?? null, contents[0] ?? new Uint8Array(), "the large one");
    },
  },
  {
    id: "fetch.refused",
    level: "MUST",
    capability: null,
    sentence: "What cannot be fetched is told with its reason, and the others come all the same.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/good", "good");
      await printed(sandbox, "mkfifo fifo; ln -s good link");
      const paths = ["/workspace/none", "/workspace/fifo", "/workspace/link", "/workspace", "/workspace/good"];
      const files = await fetched(sandbox, paths);
      const expected = ["absent", "not_regular", "not_regular", "not_regular", 4];
      claimEqual(
        files.map(({ end }) => end),
        expected,
        "outcomes",
      );
      claimEqual(
        files.map(({ path }) => path),
        paths,
        "paths",
      );
    },
  },
  {
    id: "fetch.any-permission",
    level: "MUST",
    capability: null,
    sentence: "Files without permissions are fetched: a snapshot leaves nothing out.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/closed", "kept");
      await printed(sandbox, "chmod 000 closed");
      const [file] = await fetched(sandbox, ["/workspace/closed"]);
      claimEqual([file?.end, Buffer.from(file?.bytes ?? []).toString()], [4, "kept"], "what was fetched");
      claimEqual((await treeOf(sandbox, "/workspace")).get("/workspace/closed")?.mode, 0, "its mode afterwards");
    },
  },
  {
    id: "fetch.holes",
    level: "MUST",
    capability: null,
    sentence: "Holes are fetched as holes.",
    async run(context) {
      const sandbox = await context.awake();
      await printed(sandbox, "printf data > sparse; truncate -s 20000000 sparse");
      const [file] = await fetched(sandbox, ["/workspace/sparse"]);
      claimEqual([file?.end, file?.bytes.length], [20_000_000, 20_000_000], "size");
      claim((file?.holeBytes ?? 0) > 19_000_000, `${file?.holeBytes} bytes came as holes`);
      claimEqual(Buffer.from(file?.bytes.subarray(0, 5) ?? []).toString(), "data\0", "its beginning");
    },
  },
  {
    id: "fetch.left-early",
    level: "MUST",
    capability: null,
    sentence: "A fetch that is left early does no harm to what follows.",
    async run(context) {
      const sandbox = await context.awake();
      const content = noise(8 << 20);
      await sandbox.session.writeBinaryFile({ path: "/workspace/big", content });
      for await (const part of sandbox.session.fetchFiles({ paths: ["/workspace/big", "/workspace/big"] }))
        if (part.type === "piece") break;
      claimBytes((await fetched(sandbox, ["/workspace/big"]))[0]?.bytes ?? null, content, "the next fetch");
    },
  },
];

const placeCases: readonly ConformanceCase[] = [
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
    capability: null,
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
    sentence: "A path with `..` or without a root is refused.",
    async run(context) {
      const sandbox = await context.awake();
      for (const path of ["/workspace/../tmp/x", "relative/x"]) {
        const placing = place(sandbox, [{ kind: "file", path, mode: 0o644, content: text("x") }]);
        await claimFileError(placing, null, path);
      }
      claimEqual(await readText(sandbox, "/tmp/x"), null, "where it would have led");
    },
  },
  {
    id: "place.first-error",
    level: "MUST",
    capability: null,
    sentence:
      "At the first entry that cannot be placed it stops; those before it are there, it and later ones are not.",
    async run(context) {
      const sandbox = await context.awake();
      const file = (path: string): PlacedEntry => ({ kind: "file", path, mode: 0o644, content: text("x") });
      const paths = ["/workspace/before", "/workspace/before/below", "/workspace/after"];
      await claimFileError(place(sandbox, paths.map(file)), null, "placing below a file");
      claimEqual(await readText(sandbox, "/workspace/before"), "x", "the one before");
      claimEqual(await readText(sandbox, "/workspace/after"), null, "the one after");
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

export const transferCases = [...fetchCases, ...placeCases];
