/** Cases about fetching many files at once: what taking a snapshot is made of. @module */
import { claim, claimBytes, claimEqual } from "../claims.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { fetched, noise, printed, treeOf, writeText } from "../steps.ts";

export const fetchCases: readonly ConformanceCase[] = [
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
    capability: "holes",
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
