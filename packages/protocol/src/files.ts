/** Files that clients upload. @module */
import { z } from "zod";
import { pageOf } from "./pages.ts";
import { timestamp } from "./values.ts";

/** Bytes. */
export const maximumUploadedFileBytes = 500 * 1024 ** 2;

/** Seconds: an hour, ninety days. */
export const expiryRange = { shortest: 3_600, longest: 7_776_000 } as const;

export const uploadedFile = z
  .object({
    id: z.string(),
    type: z.literal("file"),
    filename: z.string(),
    mime_type: z.string(),
    size_bytes: z.int(),
    /** Whoever may see it may have its content. */
    downloadable: z.literal(true),
    created_at: timestamp,
    /** Null: never. */
    expires_at: timestamp.nullable(),
    scope: z.null(),
  })
  .meta({ id: "File" });
export type UploadedFile = z.infer<typeof uploadedFile>;

export const uploadedFilePage = pageOf(uploadedFile).meta({ id: "FilePage" });
export const fileDeletion = z.object({ id: z.string(), type: z.literal("file_deleted") }).meta({ id: "FileDeletion" });
