/** A real S3-compatible server on loopback, for tests. @module */
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
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
