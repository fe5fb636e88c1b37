/** Preview URLs: made for whoever may use the session, and good for whoever has one. @module */
import { SandboxGoneError, SandboxUnavailableError } from "@exoloop/sandbox/errors";
import type { PortConnection } from "@exoloop/sandbox/session";
import type { Database } from "../db/database.ts";
import type { Ports } from "../sandboxes/background/ports.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createPreviewKey } from "./key.ts";
import { isSigned, parseToken, type PreviewTarget, writeToken } from "./token.ts";

/** Why a preview shows nothing. */
export type PreviewRefusal = "unknown" | "expired" | "session_ended" | "no_sandbox" | "nobody_listens" | "unreachable";

export interface Previews {
  /** @param expiresAt Seconds since the epoch. */
  create(target: PreviewTarget): Promise<string>;
  /** What a token opens, judged without waking anything. */
  open(token: string): Promise<PreviewTarget | PreviewRefusal>;
  /** Wakes the sandbox; its port's traffic keeps it awake. */
  connect(target: PreviewTarget): Promise<PortConnection | PreviewRefusal>;
}

export function createPreviews(parts: {
  readonly database: Database;
  readonly ports: Ports;
  readonly log: Pick<Logger, "warn">;
}): Previews {
  const { database, ports, log } = parts;
  const key = createPreviewKey(database);
  const hasSandbox = async (sessionId: string) => {
    const row = await database
      .selectFrom("sandboxes")
      .select("sandbox_id")
      .where("session_id", "=", sessionId)
      .executeTakeFirst();
    return row !== undefined && row.sandbox_id !== null;
  };
  return {
    create: async (target) => writeToken(await key(), target),
    async open(token) {
      const claim = parseToken(token);
      if (claim === null) return "unknown";
      const session = await database
        .selectFrom("sessions")
        .select(["organization_id", "archived_at"])
        .where("id", "=", claim.sessionId)
        .executeTakeFirst();
      // Whether a session exists is nobody's business who cannot show a signed token of it.
      if (!isSigned(await key(), claim, session?.organization_id ?? "") || session === undefined) return "unknown";
      if (claim.expiresAt * 1000 <= Date.now()) return "expired";
      if (session.archived_at !== null) return "session_ended";
      const { signature: _signature, ...target } = claim;
      return { ...target, organizationId: session.organization_id };
    },
    async connect(target) {
      if (!(await hasSandbox(target.sessionId))) return "no_sandbox";
      try {
        return (await ports.connect(target, target.port)) ?? "nobody_listens";
      } catch (error) {
        if (error instanceof SandboxGoneError) return "no_sandbox";
        if (!(error instanceof SandboxUnavailableError)) throw error;
        log.warn({ session: target.sessionId, error }, "sandbox of a preview not reached");
        return "unreachable";
      }
    },
  };
}
