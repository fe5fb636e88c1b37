/** Whether what a parked call waits for has happened. Only looks. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { Claim } from "../sessions/log.ts";
import type { CallResult, OpenCall } from "../sessions/state.ts";
import { settledStatus } from "../sessions/waits.ts";

/** Null while it has not. A webhook's delivery is admitted to the log by whoever receives it. */
export async function checkWait(database: Kysely<Tables>, claim: Claim, call: OpenCall): Promise<CallResult | null> {
  if (call.wait?.type !== "session") return null;
  const { sessionId } = call.wait;
  if (sessionId === claim.sessionId) return text("wait_for: a session cannot wait for itself.", true);
  const found = await settledStatus(database, claim.organizationId, sessionId);
  if (found === null) return text("wait_for: there is no session with this session_id.", true);
  if (found.status === "terminated") return text(`The session ${sessionId} has ended.`, false);
  return found.status === "idle" && found.began ? text(`The session ${sessionId} has come to rest.`, false) : null;
}

function text(value: string, isError: boolean): CallResult {
  return { content: [{ type: "text", text: value }], isError };
}
