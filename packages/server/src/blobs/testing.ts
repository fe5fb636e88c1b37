/** A real S3-compatible server on loopback, and a connection to it that breaks, for tests. @module */
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import S3rver from "s3rver";
import type { S3Location } from "./location.ts";

export interface S3TestServer {
  readonly location: S3Location;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Where the server keeps its objects. */
  readonly directory: string;
  stop(): Promise<void>;
}

export async function startS3TestServer(): Promise<S3TestServer> {
  const directory = await mkdtemp(join(tmpdir(), "exoloop-s3-"));
  const server = new S3rver({
    address: "127.0.0.1",
    port: 0,
    silent: true,
    directory,
    configureBuckets: [{ name: "blobs", configs: [] }],
  });
  const { port } = (await server.run()) as unknown as AddressInfo;
  return {
    location: {
      type: "s3",
      bucket: "blobs",
      prefix: "some/prefix/",
      region: "us-east-1",
      endpoint: `http://127.0.0.1:${port}`,
    },
    // The only pair that this server knows.
    credentials: { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" },
    directory,
    async stop() {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Between a client and a server on loopback: passes bytes on until it is told to break. */
export interface BreakingLine {
  readonly endpoint: string;
  /** Once so many more bytes have gone to the server, every connection breaks and none is taken, until `mend`. */
  breakAfter(bytes: number): void;
  /** As `breakAfter`, for the next connection alone. */
  breakOnce(bytes: number): void;
  mend(): void;
  /** How often connections were broken. */
  readonly breaks: number;
  /** Bytes that have gone to the server. */
  readonly sent: number;
  stop(): Promise<void>;
}

export async function startBreakingLine(endpoint: string): Promise<BreakingLine> {
  const { hostname, port } = new URL(endpoint);
  const sockets = new Set<Socket>();
  let [left, broken, once, breaks, sent] = [Infinity, false, false, 0, 0];
  const cut = () => {
    breaks += 1;
    broken = !once;
    left = Infinity;
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((client) => {
    if (broken) return void client.destroy();
    const upstream = connect(Number(port), hostname);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    upstream.on("data", (bytes) => client.write(bytes));
    client.on("data", (bytes) => {
      if (left <= 0) return;
      upstream.write(bytes.subarray(0, left));
      left -= bytes.length;
      sent += bytes.length;
      // What was passed on arrives first.
      if (left <= 0) setImmediate(cut);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const arm = (bytes: number, justOnce: boolean) => ([left, once] = [bytes, justOnce]);
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    breakAfter: (bytes) => void arm(bytes, false),
    breakOnce: (bytes) => void arm(bytes, true),
    mend: () => void ([left, broken] = [Infinity, false]),
    get breaks() {
      return breaks;
    },
    get sent() {
      return sent;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
