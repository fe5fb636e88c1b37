/** Cases about writing and deleting single files. @module */
import { claim, claimBytes, claimEqual, claimFileError, claimRefused } from "../claims.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { noise, printed, readText, text, writeText } from "../steps.ts";

function streamThatFails(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let sent = false;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent) controller.error(new Error("the source broke"));
      else controller.enqueue(bytes);
      sent = true;
    },
  });
}

export const writeCases: readonly ConformanceCase[] = [
  {
    id: "write.binary",
    level: "MUST",
    capability: null,
    sentence: "Every byte value is kept, in files of any size around a chunk's.",
    async run(context) {
      const { session } = await context.awake();
      for (const size of [1, 255, 65_535, 65_536, 65_537, 1_048_577]) {
        const content = noise(size, size);
        const path = `/workspace/${size}`;
        await session.writeBinaryFile({ path, content });
        claimBytes(await session.readBinaryFile({ path }), content, `${size} bytes`);
      }
    },
  },
  {
    id: "write.empty",
    level: "MUST",
    capability: null,
    sentence: "An empty file exists and is empty.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/empty", "");
      claimEqual(await readText(sandbox, "/workspace/empty"), "", "content");
      claimEqual((await sandbox.session.stat({ path: "/workspace/empty" }))?.size, 0, "size");
    },
  },
  {
    id: "write.large",
    level: "MUST",
    capability: null,
    sentence: "A file of 64 MB arrives whole both ways (large files).",
    async run(context) {
      const { session } = await context.awake();
      const content = noise(64 << 20);
      await session.writeBinaryFile({ path: "/workspace/large", content });
      claimBytes(await session.readBinaryFile({ path: "/workspace/large" }), content, "64 MB");
    },
  },
  {
    id: "write.stream",
    level: "MUST",
    capability: null,
    sentence: "A stream is written whole, with the mode asked for.",
    async run(context) {
      const sandbox = await context.awake();
      const parts = [noise(100_000), noise(1), noise(70_000, 7)];
      const content = new ReadableStream<Uint8Array>({
        start(controller) {
          for (const part of parts) controller.enqueue(part);
          controller.close();
        },
      });
      await sandbox.session.writeFile({ path: "/workspace/streamed", content, mode: 0o700 });
      claimBytes(
        await sandbox.session.readBinaryFile({ path: "/workspace/streamed" }),
        Buffer.concat(parts),
        "content",
      );
      claimEqual((await sandbox.session.stat({ path: "/workspace/streamed" }))?.mode, 0o700, "mode");
    },
  },
  {
    id: "write.names",
    level: "MUST",
    capability: null,
    sentence: "Names hold any Unicode, blanks, quotes, line ends and up to 255 bytes.",
    async run(context) {
      const sandbox = await context.awake();
      const names = ["a b", "žluť 🐎", "quote'\"", "line\nend", "-rf", "$HOME", "x".repeat(255)];
      for (const name of names) await writeText(sandbox, `/workspace/n/${name}`, name);
      for (const name of names) claimEqual(await readText(sandbox, `/workspace/n/${name}`), name, name.slice(0, 20));
      const listed = (await sandbox.session.listDirectory({ path: "/workspace/n" })) ?? [];
      claimEqual(listed.map(({ name }) => name).toSorted(), names.toSorted(), "listing");
    },
  },
  {
    id: "write.parents",
    level: "MUST",
    capability: null,
    sentence: "Directories above a file are made; a file on the way is an error that changes nothing.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/a/b/c/file", "x");
      claimEqual(await readText(sandbox, "/workspace/a/b/c/file"), "x", "content");
      await claimFileError(writeText(sandbox, "/workspace/a/b/c/file/below", "y"), null, "below a file");
      claimEqual(await readText(sandbox, "/workspace/a/b/c/file"), "x", "content afterwards");
    },
  },
  {
    id: "write.replaces",
    level: "MUST",
    capability: null,
    sentence: "A second write replaces the first whole, also when it is shorter.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/file", "a long first content");
      await writeText(sandbox, "/workspace/file", "short");
      claimEqual(await readText(sandbox, "/workspace/file"), "short", "content");
    },
  },
  {
    id: "write.atomic",
    level: "MUST",
    capability: null,
    sentence: "A write that fails on its way leaves the old file, and nothing beside it.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/d/file", "old");
      const content = streamThatFails(noise(300_000));
      await claimRefused(sandbox.session.writeFile({ path: "/workspace/d/file", content }), "the broken write");
      claimEqual(await readText(sandbox, "/workspace/d/file"), "old", "content");
      const listed = (await sandbox.session.listDirectory({ path: "/workspace/d" })) ?? [];
      claimEqual(
        listed.map(({ name }) => name),
        ["file"],
        "listing",
      );
    },
  },
  {
    id: "write.never-torn",
    level: "MUST",
    capability: null,
    sentence: "Who reads while a file is replaced sees the old or the new one, never a mixture.",
    async run(context) {
      const { session } = await context.awake();
      const path = "/workspace/file";
      const contents = [noise(400_000, 1), noise(400_000, 2)];
      const [first = new Uint8Array(), second = new Uint8Array()] = contents;
      await session.writeBinaryFile({ path, content: first });
      for (let round = 0; round < 6; round++) {
        const writing = session.writeBinaryFile({ path, content: round % 2 === 0 ? second : first });
        const reading = Array.from({ length: 3 }, () => session.readBinaryFile({ path }));
        const [, ...seen] = await Promise.all([writing, ...reading]);
        for (const bytes of seen)
          claim(bytes !== null && contents.some((each) => Buffer.compare(each, bytes) === 0), "a mixture was read");
      }
    },
  },
  {
    id: "write.at-the-same-time",
    level: "MUST",
    capability: null,
    sentence: "A hundred writes and reads at the same time do not hold each other up or mix.",
    async run(context) {
      const sandbox = await context.awake();
      const numbers = Array.from({ length: 100 }, (_, index) => index);
      await Promise.all(numbers.map((number) => writeText(sandbox, `/workspace/m/${number}`, `content ${number}`)));
      const read = await Promise.all(numbers.map((number) => readText(sandbox, `/workspace/m/${number}`)));
      claimEqual(
        read,
        numbers.map((number) => `content ${number}`),
        "contents",
      );
    },
  },
  {
    id: "write.seen-by-commands",
    level: "MUST",
    capability: null,
    sentence: "Files and commands see the same tree, in both directions.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/in", "from outside\n");
      claimEqual(await printed(sandbox, "cat in; echo from inside > out"), "from outside\n", "read by a command");
      claimEqual(await readText(sandbox, "/workspace/out"), "from inside\n", "written by a command");
    },
  },
  {
    id: "write.refused-places",
    level: "MUST",
    capability: null,
    sentence: "Writing over a directory or into the system is refused, and changes nothing.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/d/file", "x");
      await claimFileError(writeText(sandbox, "/workspace/d", "y"), "is_directory", "over a directory");
      await claimFileError(writeText(sandbox, "/usr/exoloop", "y"), "no_permission", "into the system");
      claimEqual(await readText(sandbox, "/workspace/d/file"), "x", "what was there");
    },
  },
  {
    id: "write.too-long-name",
    level: "MUST",
    capability: null,
    sentence: "A name that is too long is an error of that write only.",
    async run(context) {
      const sandbox = await context.awake();
      await claimFileError(writeText(sandbox, `/workspace/${"x".repeat(256)}`, "y"), null, "a name of 256 bytes");
      await writeText(sandbox, "/workspace/ok", "z");
      claimEqual(await readText(sandbox, "/workspace/ok"), "z", "the next write");
    },
  },
  {
    id: "write.delete",
    level: "MUST",
    capability: null,
    sentence:
      "Deleting tells whether something was there; a directory only goes when asked, a link never takes its target.",
    async run(context) {
      const sandbox = await context.awake();
      const { session } = sandbox;
      await session.writeBinaryFile({ path: "/workspace/d/sub/file", content: text("x") });
      await printed(sandbox, "ln -s d /workspace/link");
      await claimFileError(session.deleteFile({ path: "/workspace/d" }), "is_directory", "a directory");
      claimEqual(await session.deleteFile({ path: "/workspace/link", recursive: true }), true, "a link");
      claim((await session.stat({ path: "/workspace/d/sub/file" })) !== null, "the link's target is still there");
      claimEqual(await session.deleteFile({ path: "/workspace/d/sub/file" }), true, "a file");
      claimEqual(await session.deleteFile({ path: "/workspace/d/sub/file" }), false, "a second time");
      claimEqual(await session.deleteFile({ path: "/workspace/d", recursive: true }), true, "a tree");
      claimEqual(await session.stat({ path: "/workspace/d" }), null, "the tree afterwards");
    },
  },
];
