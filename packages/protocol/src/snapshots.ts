/** Snapshots of a session's workspace: `/v1/x/sessions/{id}/snapshots`. @module */
import { z } from "zod";
import { bidirectionalPageOf } from "./pages.ts";
import { timestamp } from "./values.ts";

export const workspaceSnapshot = z
  .object({
    type: z.literal("workspace_snapshot"),
    id: z.string(),
    session_id: z.string(),
    /** The one that it builds on; it may be gone. Null for the first one. */
    parent_id: z.string().nullable(),
    /** Of the sandbox that it was taken from. */
    generation: z.int(),
    files: z.int(),
    /** Sockets, FIFOs and devices, which no snapshot holds. */
    left_out: z.int(),
    /** Bytes of all files. */
    bytes: z.int(),
    /** Bytes that this snapshot added to the store: what it shares with others is stored once. */
    stored_bytes: z.int(),
    /** It is not deleted when newer ones come. */
    kept: z.boolean(),
    created_at: timestamp,
  })
  .meta({ id: "WorkspaceSnapshot" });
export type WorkspaceSnapshot = z.infer<typeof workspaceSnapshot>;

export const workspaceSnapshotPage = bidirectionalPageOf(workspaceSnapshot).meta({ id: "WorkspaceSnapshotPage" });

export const updateSnapshotRequest = z.strictObject({ kept: z.boolean() }).meta({ id: "UpdateSnapshotRequest" });
export type UpdateSnapshotRequest = z.infer<typeof updateSnapshotRequest>;
