/** Workspace archives, written and read by the sandbox's own tar beside the stopped workload. @module */
import { randomUUID } from "node:crypto";
import { SandboxUnavailableError } from "../../errors.ts";
import { type Channels, readFrame } from "./channels.ts";
import { encodeSpawn, feedStdin, parseExit } from "./commands.ts";
import type { FrameConnection } from "./connection.ts";
import { type Frame, frameTypes, spawnFlags } from "./frames.ts";

/* What its owner made unreadable would be missing from the archive: it is made readable first. */
const makeReadable = String.raw`find . \( -type d ! -perm -700 -o -type f ! -perm -400 \) -exec chmod u+rwX {} \;`;
const pack = [
  `cd "$WORKSPACE"`,
  makeReadable,
  // Holes are not read: a file of holes may be larger than any disk.
  "exec tar --sort=name --numeric-owner --owner=0 --group=0 --format=posix --sparse" +
    " --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime -cf - .",
].join(" && ");
const unpack = [
  `cd "$WORKSPACE"`,
  makeReadable,
  "find . -mindepth 1 -delete",
  "exec tar --no-same-owner --preserve-permissions -xf -",
].join(" && ");

function describeFailure(work: string, exit: object, complaints: string): Error {
  const text = `the sandbox could not ${work} its workspace: ${JSON.stringify(exit)} ${complaints.trim()}`;
  return new SandboxUnavailableError(text, "Make room in the workspace, or start a new sandbox.");
}

async function start(
  channels: Channels,
  command: string,
  flags: number,
): Promise<{ channel: FrameConnection; commandId: string }> {
  const commandId = randomUUID();
  const channel = await channels.acquire();
  const payload = encodeSpawn({ command, workingDirectory: "/" }, commandId, flags | spawnFlags.maintenance);
  await channel.write(frameTypes.spawn, ...payload);
  const frame = await channel.read();
  if (frame?.type === frameTypes.started) return { channel, commandId };
  channels.discard(channel);
  throw new SandboxUnavailableError("the sandbox did not start tar", "Start a new sandbox.");
}

/** Streams at the reader's pace. Errors, and never ends early, when the archive is not whole. */
export async function packWorkspace(
  channels: Channels,
  finished: () => Promise<void>,
): Promise<ReadableStream<Uint8Array>> {
  const { channel } = await start(channels, pack, spawnFlags.direct);
  let complaints = "";
  const nextFrame = async (): Promise<Frame> => {
    for (;;) {
      const frame = await readFrame(channel);
      if (frame.type !== frameTypes.output || frame.payload[0] !== 2) return frame;
      if (complaints.length < 2000) complaints += frame.payload.subarray(1, 2000).toString();
    }
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let failure: Error | null = null;
        try {
          const frame = await nextFrame();
          if (frame.type === frameTypes.output) return controller.enqueue(frame.payload.subarray(1));
          const { exit } = parseExit(frame.payload);
          if (exit.type !== "exited" || exit.code !== 0) failure = describeFailure("pack", exit, complaints);
        } catch (error) {
          channels.discard(channel);
          await finished();
          throw error;
        }
        channels.release(channel);
        await finished();
        if (failure === null) controller.close();
        else controller.error(failure);
      },
      async cancel() {
        channels.discard(channel);
        await finished();
      },
    },
    { highWaterMark: 0 },
  );
}

export async function unpackWorkspace(channels: Channels, archive: ReadableStream<Uint8Array>): Promise<void> {
  const { channel, commandId } = await start(channels, unpack, spawnFlags.stdin);
  let complaints = "";
  try {
    const feeding = feedStdin(channels, commandId, archive);
    feeding.catch(() => {});
    for (;;) {
      const frame = await readFrame(channel);
      if (frame.type === frameTypes.output) {
        if (complaints.length < 2000) complaints += frame.payload.subarray(1, 2000).toString();
        continue;
      }
      const { exit } = parseExit(frame.payload);
      await feeding;
      if (exit.type !== "exited" || exit.code !== 0) throw describeFailure("unpack", exit, complaints);
      break;
    }
  } catch (error) {
    channels.discard(channel);
    throw error;
  }
  channels.release(channel);
}
