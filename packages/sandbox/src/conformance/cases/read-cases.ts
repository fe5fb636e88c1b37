/** Cases about reading single files and directories. @module */
import { claim, claimBytes, claimEqual, claimFileError } from "../claims.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { noise, place, printed, readText, text, writeText } from "../steps.ts";

export const readCases: readonly ConformanceCase[] = [
  {
    id: "read.absent",
    level: "MUST",
    capability: null,
    sentence: "What does not exist is null, false or empty: no error, also below an absent directory.",
    async run(context) {
      const { session } = await context.awake();
      for (const path of ["/workspace/none", "/workspace/none/deeper"]) {
        claimEqual(await session.readBinaryFile({ path }), null, "readBinaryFile");
        claimEqual(await session.readFile({ path }), null, "readFile");
        claimEqual(await session.stat({ path }), null, "stat");
        claimEqual(await session.listDirectory({ path }), null, "listDirectory");
        claimEqual(await session.listTree({ path }), [], "listTree");
        claimEqual(await session.deleteFile({ path }), false, "deleteFile");
      }
    },
  },
  {
    id: "read.memory-aliases",
    level: "SHOULD",
    capability: null,
    sentence: "`/mnt/memory` is `/memory`, and `/memories` what the link `/memory/.default` names.",
    async run(context) {
      const sandbox = await context.awake();
      const content = text("line\n");
      await place(sandbox, [
        { kind: "symlink", path: "/memory/.default", target: "org" },
        { kind: "file", path: "/memory/org/a.md", mode: 0o644, content },
      ]);
      for (const path of ["/mnt/memory/org/a.md", "/memories/a.md"]) {
        claimEqual(await readText(sandbox, path), "line\n", path);
        claimEqual(await printed(sandbox, `cat ${path}`), "line\n", `${path} in a command`);
      }
    },
  },
  {
    id: "read.stream",
    level: "MUST",
    capability: null,
    sentence: "A stream gives the whole file, and can be cancelled without harm to later reads.",
    async run(context) {
      const { session } = await context.awake();
      const content = noise(3_000_001);
      await session.writeBinaryFile({ path: "/workspace/big", content });
      const parts: Uint8Array[] = [];
      for await (const part of (await session.readFile({ path: "/workspace/big" })) ?? []) parts.push(part.slice());
      claimBytes(Buffer.concat(parts), content, "the stream");
      await (await session.readFile({ path: "/workspace/big" }))?.cancel();
      claimBytes(await session.readBinaryFile({ path: "/workspace/big" }), content, "the next read");
    },
  },
  {
    id: "read.directory",
    level: "MUST",
    capability: null,
    sentence: "Reading a directory is refused with `is_directory`, listing a file with `not_directory`.",
    async run(context) {
      const sandbox = await context.awake();
      await claimFileError(sandbox.session.readBinaryFile({ path: "/workspace" }), "is_directory", "readBinaryFile");
      await claimFileError(sandbox.session.readFile({ path: "/workspace" }), "is_directory", "readFile");
      await writeText(sandbox, "/workspace/file", "x");
      await claimFileError(
        sandbox.session.listDirectory({ path: "/workspace/file" }),
        "not_directory",
        "listDirectory",
      );
    },
  },
  {
    id: "read.special",
    level: "MUST",
    capability: null,
    sentence: "A FIFO is refused with `not_regular` at once: it does not hang.",
    async run(context) {
      const sandbox = await context.awake();
      await printed(sandbox, "mkfifo /workspace/fifo");
      await claimFileError(
        sandbox.session.readBinaryFile({ path: "/workspace/fifo" }),
        "not_regular",
        "readBinaryFile",
      );
      await claimFileError(sandbox.session.readFile({ path: "/workspace/fifo" }), "not_regular", "readFile");
      claimEqual((await sandbox.session.stat({ path: "/workspace/fifo" }))?.kind, "other", "kind");
    },
  },
  {
    id: "read.no-permission",
    level: "MUST",
    capability: null,
    sentence: "A file without permission to read is refused with `no_permission`, not told as absent or empty.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/closed", "secret");
      await printed(sandbox, "chmod 000 /workspace/closed");
      await claimFileError(sandbox.session.readBinaryFile({ path: "/workspace/closed" }), "no_permission", "reading");
    },
  },
  {
    id: "read.too-large",
    level: "MUST",
    capability: null,
    sentence: "More than `maximumBytes` is refused with `too_large`; exactly as many are read.",
    async run(context) {
      const sandbox = await context.awake();
      const path = "/workspace/file";
      await writeText(sandbox, path, "0123456789");
      await claimFileError(sandbox.session.readBinaryFile({ path, maximumBytes: 9 }), "too_large", "9 of 10 bytes");
      claimEqual((await sandbox.session.readBinaryFile({ path, maximumBytes: 10 }))?.length, 10, "10 of 10 bytes");
    },
  },
  {
    id: "read.malformed-path",
    level: "MUST",
    capability: null,
    sentence: "A path that is not absolute, or holds NUL, is refused by every verb.",
    async run(context) {
      const { session } = await context.awake();
      for (const path of ["relative", "", "/workspace/a\0b"]) {
        await claimFileError(session.readBinaryFile({ path }), null, "readBinaryFile");
        await claimFileError(session.writeBinaryFile({ path, content: new Uint8Array(1) }), null, "writeBinaryFile");
        await claimFileError(session.stat({ path }), null, "stat");
        await claimFileError(session.listDirectory({ path }), null, "listDirectory");
        await claimFileError(session.deleteFile({ path }), null, "deleteFile");
      }
    },
  },
  {
    id: "read.links",
    level: "MUST",
    capability: null,
    sentence: "Reading and `stat` follow links inside the sandbox; one that leads nowhere or round is no content.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/real", "content");
      await printed(
        sandbox,
        "ln -s real /workspace/link; ln -s none /workspace/dangling; ln -s round /workspace/round",
      );
      claimEqual(await readText(sandbox, "/workspace/link"), "content", "through a link");
      claimEqual((await sandbox.session.stat({ path: "/workspace/link" }))?.size, 7, "size through a link");
      claimEqual(await readText(sandbox, "/workspace/dangling"), null, "through a dangling link");
      claimEqual(await readText(sandbox, "/workspace/round").catch(() => null), null, "through a link to itself");
    },
  },
  {
    id: "read.listing",
    level: "MUST",
    capability: null,
    sentence: "A directory's listing tells every entry once, with its kind, links as links.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/d/file", "x");
      await writeText(sandbox, "/workspace/d/sub/deeper", "x");
      await printed(sandbox, "ln -s /usr /workspace/d/link; mkfifo /workspace/d/fifo");
      const entries = (await sandbox.session.listDirectory({ path: "/workspace/d" })) ?? [];
      const expected = ["fifo:other", "file:file", "link:symlink", "sub:directory"];
      claimEqual(entries.map(({ name, kind }) => `${name}:${kind}`).toSorted(), expected, "entries");
    },
  },
  {
    id: "read.stat",
    level: "MUST",
    capability: null,
    sentence: "`stat` tells kind, size, permission bits and when the file was changed.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/file", "12345", 0o750);
      const found = await sandbox.session.stat({ path: "/workspace/file" });
      claimEqual([found?.kind, found?.size, found?.mode], ["file", 5, 0o750], "file");
      const age = Date.now() - (found?.modifiedAt.getTime() ?? 0);
      claim(Math.abs(age) < 60_000, `modifiedAt is ${age} ms away`);
      claimEqual((await sandbox.session.stat({ path: "/workspace" }))?.kind, "directory", "directory");
    },
  },
];
