/** The blob store that a configuration names. @module */
import type { BlobsConfig } from "./blobs-config.ts";
import { createDirectoryBlobStore } from "./directory-store.ts";
import { createS3BlobStore } from "./s3-store.ts";
import type { BlobStore } from "./store.ts";

export function openBlobStore(config: BlobsConfig<{ reveal(): string }>): BlobStore {
  if (!("credentials" in config)) return createDirectoryBlobStore(config.location.path);
  const { accessKeyId, secretAccessKey, sessionToken } = config.credentials;
  return createS3BlobStore({
    location: config.location,
    credentials: {
      accessKeyId: accessKeyId.reveal(),
      secretAccessKey: secretAccessKey.reveal(),
      ...(sessionToken === null ? {} : { sessionToken: sessionToken.reveal() }),
    },
  });
}
