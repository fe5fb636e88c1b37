/** What tools and projection see of a session's sandbox: how to use it, not how it lives. @module */
import type { SandboxSession } from "@exoloop/sandbox/session";

/** Whose sandbox it is. */
export interface SandboxOwner {
  readonly sessionId: string;
  readonly organizationId: string;
}

/** The sandbox of one session in one generation, alive for the length of one use. */
export interface Workspace {
  readonly sandboxId: string;
  readonly generation: number;
  readonly session: SandboxSession;
}
