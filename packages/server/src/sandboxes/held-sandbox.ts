/** A session's sandbox as its users hold it, and what the room needs to make one. @module */
import type { Sandbox, SandboxProvider, SandboxResources } from "@exoloop/sandbox/contract";
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { NoticeBoard, PreviewFrame } from "../sessions/notices.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { SandboxOwner, Workspace } from "./workspace.ts";

export interface SandboxDependencies {
  readonly database: Kysely<Tables>;
  /** By the names that rows carry. */
  readonly providers: ReadonlyMap<string, SandboxProvider>;
  /** Of sessions that name none. A key of `providers`. */
  readonly defaultProvider: string;
  /** Whose sandboxes these are. */
  readonly installation: string;
  readonly snapshots: SnapshotPort;
  /** Saves what runs in the background has changed of files that live elsewhere. Absent: there are none. */
  readonly saveFiles?: (held: HeldSandbox) => Promise<void>;
  readonly notices: NoticeBoard;
  readonly resources: SandboxResources;
  readonly log: Logger;
}

/** Snapshots of workspaces, as the life of sandboxes needs them. */
export interface SnapshotPort {
  /**
   * Stores the workspace as it is now; the next generation starts from it. An unchanged workspace stores nothing.
   * @throws SandboxGoneError: the previous snapshot stays the last.
   */
  take(held: HeldSandbox): Promise<void>;
  /** Into a new sandbox. */
  restore(owner: SandboxOwner, snapshotId: string, sandbox: Sandbox): Promise<void>;
}

/** The sandbox of a session in one generation. What comes of an older one than the row's is refused. */
export interface HeldSandbox {
  readonly owner: SandboxOwner;
  readonly sandbox: Sandbox;
  readonly generation: number;
}

/** What a held sandbox lets others do: use the sandbox, not end it. */
export function workspaceOf({ sandbox, generation }: HeldSandbox): Workspace {
  return { sandboxId: sandbox.reference.id, generation, session: sandbox.session };
}

export type SandboxStatusName = Extract<PreviewFrame, { type: "x_exoloop.sandbox_status" }>["status"];

/** Tells clients that watch; nothing is stored. */
export function publishStatus(
  { notices }: Pick<SandboxDependencies, "notices">,
  owner: SandboxOwner,
  status: SandboxStatusName,
  generation: number,
  milliseconds: number,
): void {
  notices.publish({
    type: "frame",
    sessionId: owner.sessionId,
    frame: {
      type: "x_exoloop.sandbox_status",
      status,
      generation,
      milliseconds: Math.round(milliseconds * 100) / 100,
      at: new Date().toISOString(),
    },
  });
}
