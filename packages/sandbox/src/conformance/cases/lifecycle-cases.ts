/** Cases about the life of a sandbox: created, found again, destroyed. @module */
import { claim, claimEqual, claimGone, claimRefused, claimSoon } from "../claims.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { counted, countingCommand, printed, readText, startedCommand, writeText } from "../steps.ts";

export const lifecycleCases: readonly ConformanceCase[] = [
  {
    id: "lifecycle.idempotent-create",
    level: "MUST",
    capability: null,
    sentence: "Creating twice under one identifier gives one sandbox, also at the same time (double create).",
    async run(context) {
      const request = context.request();
      const [first, second] = await Promise.all([context.create(request), context.create(request)]);
      await first.resume();
      await writeText(first, "/workspace/file", "mine");
      claimEqual(await readText(second, "/workspace/file"), "mine", "through the second handle");
      const third = await context.create(request);
      claimEqual(await readText(third, "/workspace/file"), "mine", "through a third handle, later");
      const listed = (await context.provider.list()).filter(({ id }) => id === request.id);
      claimEqual(listed.length, 1, "listed under this identifier");
    },
  },
  {
    id: "lifecycle.apart",
    level: "MUST",
    capability: null,
    sentence: "Two sandboxes share neither files nor commands nor processes.",
    async run(context) {
      const [one, other] = [await context.awake(), await context.awake()];
      await writeText(one, "/workspace/file", "one");
      await writeText(one, "/tmp/file", "one");
      await startedCommand(one, { commandId: "shared-name", command: "echo on; sleep 30" });
      claimEqual(await readText(other, "/workspace/file"), null, "the other's workspace");
      claimEqual(await readText(other, "/tmp/file"), null, "the other's /tmp");
      claimEqual(await other.session.attachCommand({ commandId: "shared-name", byteOffset: 0 }), null, "command");
      claimEqual(await other.session.listProcesses(), [], "the other's processes");
      claimEqual((await other.session.run({ commandId: "shared-name", command: "echo own" })).stdout, "own\n", "run");
    },
  },
  {
    id: "lifecycle.status",
    level: "MUST",
    capability: null,
    sentence: "The status is true when it is asked for: state, owner, age, running commands.",
    async run(context) {
      const request = context.request({ owner: "conformance_owner" });
      const sandbox = await context.create(request);
      const first = await sandbox.status();
      claimEqual([first.id, first.owner, first.runningCommands], [request.id, "conformance_owner", []], "at first");
      claim(Math.abs(Date.now() - first.createdAt) < 60_000, "createdAt is now, in milliseconds");
      await sandbox.resume();
      const process = await startedCommand(sandbox, { commandId: "running", command: "echo on; sleep 30" });
      claimEqual((await sandbox.status()).runningCommands, ["running"], "running commands");
      claimEqual((await sandbox.status()).state, "awake", "state");
      await process.kill();
      await process.wait();
      claimEqual((await sandbox.status()).runningCommands, [], "running commands afterwards");
    },
  },
  {
    id: "lifecycle.list",
    level: "MUST",
    capability: null,
    sentence: "All sandboxes are listed with their owner until they are destroyed (leaked sandboxes).",
    async run(context) {
      const sandboxes = [await context.create({ owner: "owner_a" }), await context.create({ owner: "owner_b" })];
      const ids = sandboxes.map(({ reference }) => reference.id);
      const owners = async () => {
        const listed = await context.provider.list();
        return ids.map((id) => listed.find((status) => status.id === id)?.owner);
      };
      claimEqual(await owners(), ["owner_a", "owner_b"], "owners");
      await sandboxes[0]?.destroy();
      claimEqual(await owners(), [undefined, "owner_b"], "owners after one was destroyed");
    },
  },
  {
    id: "lifecycle.attach",
    level: "MUST",
    capability: null,
    sentence: "A sandbox is attached to by its reference alone, with its files.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/file", "kept");
      const attached = await context.provider.attach({ ...sandbox.reference });
      claimEqual(attached.reference, sandbox.reference, "reference");
      claimEqual(await readText(attached, "/workspace/file"), "kept", "its file");
      claimEqual(sandbox.reference.provider, context.provider.id, "the reference's provider");
    },
  },
  {
    id: "lifecycle.attach-unknown",
    level: "MUST",
    capability: null,
    sentence: "Attaching to a sandbox that never was is `SandboxGoneError`, and makes none.",
    async run(context) {
      const { id } = context.request();
      await claimGone(context.provider.attach({ provider: context.provider.id, id }), "attach");
      claim(!(await context.provider.list()).some((status) => status.id === id), "it is not listed");
    },
  },
  {
    id: "lifecycle.gone-after-destroy",
    level: "MUST",
    capability: null,
    sentence:
      "After `destroy` every call on an old handle, and attaching, is `SandboxGoneError` (stale handles, vanished sandboxes).",
    async run(context) {
      const sandbox = await context.awake();
      const { session } = sandbox;
      const other = await context.provider.attach(sandbox.reference);
      const process = await startedCommand(sandbox, { command: "echo on; sleep 30" });
      const waiting = process.wait();
      waiting.catch(() => {});
      await sandbox.destroy();
      // A command may be told as killed before its sandbox is told as gone; it never succeeds.
      const exit = await waiting.catch(() => null);
      claim(exit === null || exit.type === "signalled" || exit.type === "unknown", "the running command succeeded");
      await claimGone(context.provider.attach(sandbox.reference), "attach");
      await claimGone(session.run({ command: "true" }), "run");
      await claimGone(session.readBinaryFile({ path: "/workspace/x" }), "readBinaryFile");
      await claimGone(session.writeBinaryFile({ path: "/workspace/x", content: new Uint8Array(1) }), "writeBinaryFile");
      await claimGone(session.listTree({ path: "/workspace" }), "listTree");
      await claimGone(sandbox.resume(), "resume");
      await claimGone(sandbox.suspend(), "suspend");
      await claimGone(sandbox.status(), "status");
      await claimGone(other.session.run({ command: "true" }), "run through another handle");
    },
  },
  {
    id: "lifecycle.destroy-always",
    level: "MUST",
    capability: null,
    sentence:
      "`destroy` works in every state and twice: suspended, awake, with running and unkillable commands (stuck states).",
    async run(context) {
      const suspended = await context.create();
      const awake = await context.awake();
      const stubborn = await context.awake();
      const asleep = await context.awake();
      await startedCommand(awake, { command: "echo on; sleep 30" });
      await startedCommand(stubborn, { command: "trap '' TERM INT HUP; echo on; sleep 30" });
      await startedCommand(asleep, { command: "echo on; sleep 30" });
      await asleep.suspend();
      for (const sandbox of [suspended, awake, stubborn, asleep]) {
        const begun = performance.now();
        await sandbox.destroy();
        claim(performance.now() - begun < 5000, "it took longer than 5 s");
        await sandbox.destroy();
        await claimGone(context.provider.attach(sandbox.reference), "attach");
      }
    },
  },
  {
    id: "lifecycle.nothing-survives",
    level: "MUST",
    capability: null,
    sentence: "A new sandbox under the identifier of a destroyed one has none of its files or commands.",
    async run(context) {
      const request = context.request();
      const first = await context.awake(request);
      await writeText(first, "/workspace/file", "old");
      await first.session.run({ commandId: "command", command: "echo old" });
      await first.destroy();
      const next = await context.awake(request).catch(() => null);
      // A provider may refuse to use an identifier again: then nothing survives either.
      if (next === null) return claimGone(context.provider.attach(first.reference), "attach");
      claimEqual(await readText(next, "/workspace/file"), null, "its file");
      claimEqual((await next.session.run({ commandId: "command", command: "echo new" })).stdout, "new\n", "command");
    },
  },
  {
    id: "lifecycle.destroy-one",
    level: "MUST",
    capability: null,
    sentence: "Destroying one sandbox does not touch its neighbours and their running commands.",
    async run(context) {
      const [one, other] = [await context.awake(), await context.awake()];
      await startedCommand(other, { command: countingCommand });
      await one.destroy();
      const before = await counted(other);
      await claimSoon(async () => (await counted(other)) > before, "the neighbour's command goes on");
      claimEqual(await printed(other, "echo works"), "works\n", "the neighbour's next command");
    },
  },
  {
    id: "lifecycle.old-handle",
    level: "SHOULD",
    capability: null,
    sentence: "A handle on a destroyed sandbox does not reach a new one under the same identifier (stale handles).",
    async run(context) {
      const request = context.request();
      const first = await context.awake(request);
      await first.destroy();
      const next = await context.awake(request).catch(() => null);
      if (next !== null) await writeText(next, "/workspace/file", "new");
      await claimGone(first.session.readBinaryFile({ path: "/workspace/file" }), "the old handle");
      claim(next === null || (await readText(next, "/workspace/file")) === "new", "the new one is there");
    },
  },
  {
    id: "lifecycle.other-provider",
    level: "SHOULD",
    capability: null,
    sentence: "A reference of another provider is refused.",
    async run(context) {
      const sandbox = await context.create();
      await claimRefused(context.provider.attach({ ...sandbox.reference, provider: "another" }), "attach");
    },
  },
];
