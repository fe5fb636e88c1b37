/** Cases about joining a command again, by its identifier and a byte offset. @module */
import { claim, claimEqual } from "../claims.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { chunksOf, noise, outputOf } from "../steps.ts";

const ringBytes = 16 << 20;

export const attachCases: readonly ConformanceCase[] = [
  {
    id: "attach.running",
    level: "MUST",
    capability: "reattach",
    sentence: "A running command is joined at any byte, across both streams, by any number of readers.",
    async run(context) {
      const { session } = await context.awake();
      const command = "printf 01234; printf 56789 >&2; sleep 0.3; printf abc";
      const process = await session.spawn({ commandId: "joined", command });
      const joined = await Promise.all(
        [0, 3, 7].map((byteOffset) => session.attachCommand({ commandId: "joined", byteOffset })),
      );
      const outputs = await Promise.all(joined.map(async (each) => (each === null ? null : outputOf(each))));
      claimEqual(outputs, ["0123456789abc", "3456789abc", "789abc"], "outputs");
      claimEqual(await joined[0]?.wait(), await process.wait(), "exit");
    },
  },
  {
    id: "attach.ended",
    level: "MUST",
    capability: "reattach",
    sentence: "A command that has ended is joined too: its output and its exit are kept.",
    async run(context) {
      const { session } = await context.awake();
      await session.run({ commandId: "ended", command: "printf 0123456789; exit 9" });
      const joined = await session.attachCommand({ commandId: "ended", byteOffset: 6 });
      claim(joined !== null, "it is known");
      claimEqual([await outputOf(joined), await joined.wait()], ["6789", { type: "exited", code: 9 }], "outcome");
      const atEnd = await session.attachCommand({ commandId: "ended", byteOffset: 10 });
      claimEqual(atEnd && (await outputOf(atEnd)), "", "output from its end on");
    },
  },
  {
    id: "attach.other-handle",
    level: "MUST",
    capability: "reattach",
    sentence: "A command is joined through another handle on its sandbox, as after a restart of the caller.",
    async run(context) {
      const sandbox = await context.awake();
      await sandbox.session.spawn({ commandId: "kept", command: "printf abc; sleep 0.3; printf def; exit 2" });
      const other = await context.provider.attach(sandbox.reference);
      const joined = await other.session.attachCommand({ commandId: "kept", byteOffset: 1 });
      claim(joined !== null, "it is known");
      claimEqual([await outputOf(joined), await joined.wait()], ["bcdef", { type: "exited", code: 2 }], "outcome");
    },
  },
  {
    id: "attach.unknown",
    level: "MUST",
    capability: null,
    sentence: "An identifier that the sandbox never saw gives null.",
    async run(context) {
      const { session } = await context.awake();
      await session.run({ commandId: "known", command: "true" });
      claimEqual(await session.attachCommand({ commandId: "unknown", byteOffset: 0 }), null, "unknown");
    },
  },
  {
    id: "attach.control",
    level: "MUST",
    capability: "reattach",
    sentence: "Who joined a command can end it.",
    async run(context) {
      const { session } = await context.awake();
      const process = await session.spawn({ commandId: "long", command: "sleep 30" });
      const joined = await session.attachCommand({ commandId: "long", byteOffset: 0 });
      await joined?.kill();
      claimEqual(await process.wait(), { type: "signalled", signal: 15 }, "exit");
    },
  },
  {
    id: "attach.ring",
    level: "MUST",
    capability: "reattach",
    sentence:
      "Of a large output the latest 16 MiB are kept, and how much is missing before them is told (output limits).",
    async run(context) {
      const { session } = await context.awake();
      const content = noise(6 << 20);
      await session.writeBinaryFile({ path: "/workspace/big", content });
      const command = "cat /workspace/big /workspace/big /workspace/big /workspace/big";
      const process = await session.spawn({ commandId: "large", command });
      await chunksOf(process);
      const joined = await session.attachCommand({ commandId: "large", byteOffset: 0 });
      const chunks = joined === null ? [] : await chunksOf(joined);
      const kept = Buffer.concat(chunks.map(({ bytes }) => bytes));
      const missing = chunks.reduce((sum, { missingBytes = 0 }) => sum + missingBytes, 0);
      claim(kept.length <= ringBytes && kept.length > ringBytes - (1 << 20), `${kept.length} bytes are kept`);
      claimEqual(kept.length + missing, 4 * content.length, "kept and missing");
      claim(Buffer.compare(kept.subarray(-content.length), content) === 0, "the latest bytes are as they were written");
    },
  },
];
