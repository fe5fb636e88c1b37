/** Connections to ports of a local sandbox. @module */
import { Duplex } from "node:stream";
import { SandboxFileError } from "../../errors.ts";
import type { PortConnection } from "../../session.ts";
import { type Channels, readFrame, toFileError } from "./channels.ts";
import { encodeNumber, frameTypes } from "./frames.ts";

const highestPort = 65_535;

/** Null: nobody listens there. The channel is the connection's from then on. */
export async function connectPort(channels: Channels, port: number): Promise<PortConnection | null> {
  if (!Number.isInteger(port) || port < 1 || port > highestPort) {
    throw new SandboxFileError("failed", "port", `a port is a number from 1 to ${highestPort}`);
  }
  const channel = await channels.acquire();
  try {
    // The port may speak at once, and its first bytes come with the answer.
    channel.endAfter(frameTypes.started);
    await channel.write(frameTypes.connect, encodeNumber(port, 2));
    const frame = await readFrame(channel);
    if (frame.type !== frameTypes.started) {
      channel.endAfter(null);
      channels.release(channel);
      const error = toFileError(frame.payload, `port ${port}`);
      if (error !== null) throw error;
      return null;
    }
  } catch (error) {
    channels.discard(channel);
    throw error;
  }
  channels.leaveAlone(channel);
  const { socket, rest } = channel.detach();
  if (rest.length > 0) socket.unshift(rest);
  socket.once("close", () => channels.discard(channel));
  const { readable, writable } = Duplex.toWeb(socket);
  return { readable: readable as ReadableStream<Uint8Array>, writable };
}
