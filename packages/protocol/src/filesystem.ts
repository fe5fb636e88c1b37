/** Stored files, the ones below /skills and /memory: `/v1/x/filesystem`, besides the Managed Agents API. @module */
import { z } from "zod";
import { pageOf } from "./pages.ts";
import { reference, timestamp } from "./values.ts";

/** As agents write it: absolute, such as `/memory/org/team.md`. Judged where it is used: the error names the rule. */
const path = z.string().min(1).max(4_096);

/** Grows with every change of a path, also across deletion. */
const version = z.int().min(0);
/** Grows by one with every commit of a mount. */
const revision = z.int().min(0);

export const fileAuthor = z
  .object({
    user_id: z.string().nullable(),
    session_id: z.string().nullable(),
    tool_use_id: z.string().nullable(),
    via: z.enum(["tool", "bash", "api", "import", "undo", "promotion"]),
  })
  .meta({ id: "FileAuthor" });
export type FileAuthor = z.infer<typeof fileAuthor>;

export const storedFile = z
  .object({
    type: z.enum(["file", "directory"]),
    path: z.string(),
    /** Null for a directory, as all that follows but `updated_at`. */
    memory_id: z.string().nullable(),
    version: version.nullable(),
    sha256: z.string().nullable(),
    size_bytes: z.int(),
    executable: z.boolean(),
    /** Null for a mount itself. */
    updated_at: timestamp.nullable(),
    updated_by_user_id: z.string().nullable(),
    updated_by_session_id: z.string().nullable(),
    /** Whoever wrote it had read content that nobody vouches for. */
    untrusted: z.boolean(),
  })
  .meta({ id: "StoredFile" });
export type StoredFile = z.infer<typeof storedFile>;

export const storedFilePage = pageOf(storedFile).meta({ id: "StoredFilePage" });

export const fileVersion = z
  .object({
    id: z.string(),
    type: z.literal("file_version"),
    memory_id: z.string().nullable(),
    path: z.string(),
    /** Where a moved file came from, or went to. */
    other_path: z.string().nullable(),
    operation: z.enum([
      "create",
      "write",
      "edit",
      "merge",
      "delete",
      "move_in",
      "move_out",
      "make_directory",
      "remove_directory",
      /** A person has looked at what was untrusted; the content is as it was. */
      "vouch",
    ]),
    version,
    base_version: version.nullable(),
    revision,
    sha256: z.string().nullable(),
    size_bytes: z.int(),
    executable: z.boolean(),
    created_at: timestamp,
    author: fileAuthor,
    untrusted: z.boolean(),
    /** Its content is gone since then. */
    redacted_at: timestamp.nullable(),
  })
  .meta({ id: "FileVersion" });
export type FileVersion = z.infer<typeof fileVersion>;

export const fileVersionPage = pageOf(fileVersion).meta({ id: "FileVersionPage" });

/** Null: the path must not exist. Absent: whatever is there. */
const expected = z.exactOptional(version.nullable());

export const fileChange = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("put"),
    path,
    content: z.string(),
    encoding: z.exactOptional(z.enum(["utf-8", "base64"])),
    executable: z.exactOptional(z.boolean()),
    expected_version: expected,
  }),
  z.strictObject({
    type: z.literal("delete"),
    path,
    /** A directory with everything below it. */
    recursive: z.exactOptional(z.boolean()),
    expected_version: z.exactOptional(version),
  }),
  z.strictObject({ type: z.literal("move"), path, to: path }),
  z.strictObject({ type: z.literal("make_directory"), path }),
]);
export type FileChange = z.infer<typeof fileChange>;

/** One commit lies in one mount: all its changes or none. */
export const commitFilesRequest = z
  .strictObject({ changes: z.array(fileChange).min(1).max(2_000) })
  .meta({ id: "CommitFilesRequest" });
export type CommitFilesRequest = z.infer<typeof commitFilesRequest>;

export const fileCommit = z
  .object({
    type: z.literal("file_commit"),
    mount: z.string(),
    revision,
    /** Those that were put, as they are now. */
    files: z.array(z.object({ path: z.string(), version })),
  })
  .meta({ id: "FileCommit" });
export type FileCommit = z.infer<typeof fileCommit>;

export const fileDifference = z
  .object({
    type: z.literal("file_difference"),
    path: z.string(),
    from_version: version.nullable(),
    to_version: version.nullable(),
    /** Unified; empty where nothing differs. Null: one of the two is binary. */
    diff: z.string().nullable(),
  })
  .meta({ id: "FileDifference" });
export type FileDifference = z.infer<typeof fileDifference>;

const dryRun = z.exactOptional(z.boolean());

/** Exactly one of `version` (of a file), `revision` and `at`. */
export const restoreFilesRequest = z
  .strictObject({
    path,
    version: z.exactOptional(version),
    revision: z.exactOptional(revision),
    at: z.exactOptional(timestamp),
    dry_run: dryRun,
  })
  .refine(
    (request) => [request.version, request.revision, request.at].filter((given) => given !== undefined).length === 1,
    "exactly one of version, revision and at is needed",
  )
  .meta({ id: "RestoreFilesRequest" });
export type RestoreFilesRequest = z.infer<typeof restoreFilesRequest>;

export const resolveConflictRequest = z
  .strictObject({
    /** `head`: what is there stays. `kept`: the text that lost becomes the new version. */
    keep: z.enum(["head", "kept"]),
  })
  .meta({ id: "ResolveConflictRequest" });
export type ResolveConflictRequest = z.infer<typeof resolveConflictRequest>;

export const undoFilesRequest = z
  .strictObject({
    session_id: reference,
    /** Only what this call did. */
    tool_use_id: z.exactOptional(reference),
    dry_run: dryRun,
  })
  .meta({ id: "UndoFilesRequest" });
export type UndoFilesRequest = z.infer<typeof undoFilesRequest>;

const restoredPath = z.object({
  path: z.string(),
  outcome: z.enum([
    "written",
    "put_back",
    "merged",
    "deleted",
    "moved_back",
    "directory_made",
    "directory_removed",
    /** Not undone, for the reason. */
    "kept",
  ]),
  reason: z.string().nullable(),
});

export const fileRestoration = z
  .object({
    type: z.literal("file_restoration"),
    dry_run: z.boolean(),
    files: z.array(restoredPath),
  })
  .meta({ id: "FileRestoration" });
export type FileRestoration = z.infer<typeof fileRestoration>;

/** A person has read this very version and stands for it. */
export const vouchForFileRequest = z.strictObject({ path, version }).meta({ id: "VouchForFileRequest" });
export type VouchForFileRequest = z.infer<typeof vouchForFileRequest>;

export const fileMatch = z.object({ path: z.string(), line: z.int(), text: z.string() });
export const fileMatches = z.object({ data: z.array(fileMatch), truncated: z.boolean() }).meta({ id: "FileMatches" });
export type FileMatches = z.infer<typeof fileMatches>;

export const fileConflict = z
  .object({
    id: z.string(),
    type: z.literal("file_conflict"),
    path: z.string(),
    base_version: version.nullable(),
    head_version: version.nullable(),
    sha256: z.string(),
    user_id: z.string().nullable(),
    session_id: z.string().nullable(),
    tool_use_id: z.string().nullable(),
    created_at: timestamp,
    resolved_at: timestamp.nullable(),
  })
  .meta({ id: "FileConflict" });
export type FileConflict = z.infer<typeof fileConflict>;

export const fileConflictPage = pageOf(fileConflict).meta({ id: "FileConflictPage" });
