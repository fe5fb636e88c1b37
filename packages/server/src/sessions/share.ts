/**
 * A private session is shown to the whole organization. Its person's own memory leaves it with the next tool call, and
 * the copy of that memory in its sandbox with the sandbox: row, audit and the sandbox's end are one transaction, so that
 * a crash leaves no shared session whose sandbox still holds it.
 * @module
 */
import type { SessionShare } from "@exoloop/protocol/sessions";
import { sql, type Transaction } from "kysely";
import { storableJson } from "../db/storable-json.ts";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import { callDigest } from "../policy/digest.ts";
import { lockOpenSession } from "./access.ts";
import type { EndDependencies } from "./end-session.ts";
import { publicEvent } from "./event.ts";
import { appendUnderLock } from "./log.ts";
import type { Principal } from "./port.ts";

interface Owner {
  readonly sessionId: string;
  readonly organizationId: string;
}

export interface ShareDependencies extends Pick<EndDependencies, "database" | "notices"> {
  /** Waits until what the session's workspace holds is in a snapshot. Never rejects. */
  readonly captureWorkspace: (owner: Owner) => Promise<void>;
  /**
   * Takes the sandbox from a session within the transaction: what comes next is another generation. The answer destroys
   * it after the commit, and never rejects; null where there is none.
   */
  readonly dropSandbox: (transaction: Transaction<Tables>, owner: Owner) => Promise<(() => Promise<void>) | null>;
}

const copies =
  "The transcript and the workspace stay as they are: both may hold copies of what was in /memory/me. Delete the session instead if they must not be seen.";
const forGood = "This cannot be undone: a shared session does not become private again.";

/**
 * Sharing what is shared already changes nothing.
 * @throws Problem `not_found`, `forbidden`; `invalid_request` while it runs
 */
export async function shareSession(
  { database, notices, captureWorkspace, dropSandbox }: ShareDependencies,
  principal: Principal,
  sessionId: string,
): Promise<SessionShare> {
  const owner = { sessionId, organizationId: principal.organizationId };
  const destroy: (() => Promise<void>)[] = [];
  await refuseRunning(database, principal, sessionId);
  await captureWorkspace(owner);
  const seq = await database.transaction().execute(async (transaction) => {
    destroy.length = 0;
    const row = await lockOpenSession(transaction, principal, sessionId, "drive");
    if (row.visibility === "shared") return null;
    const threads = await transaction
      .updateTable("sessions")
      .set({ visibility: "shared" })
      .where((where) => where.or([where("id", "=", sessionId), where("parent_session_id", "=", sessionId)]))
      .returning(["id", "status"])
      .execute();
    if (threads.some(({ status }) => status === "running")) throw running();
    for (const { id } of threads) {
      const dropped = await dropSandbox(transaction, { ...owner, sessionId: id });
      if (dropped !== null) destroy.push(dropped);
    }
    await audit(transaction, principal, sessionId);
    const told = publicEvent("session.updated", { x_exoloop: { visibility: "shared" } });
    return (await appendUnderLock(transaction, sessionId, [told])).at(-1)?.seq ?? null;
  });
  if (seq !== null) notices.publish({ type: "appended", sessionId, seq });
  for (const end of destroy) await end();
  return {
    type: "session_share",
    session_id: sessionId,
    visibility: "shared",
    changed: seq !== null,
    sandbox_replaced: destroy.length > 0,
    warnings: seq === null ? [] : [copies, forGood],
  };
}

/** Before the workspace is captured: a running command would be waited for. */
async function refuseRunning(
  database: ShareDependencies["database"],
  principal: Principal,
  sessionId: string,
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const row = await lockOpenSession(transaction, principal, sessionId, "drive");
    if (row.status === "running" && row.visibility === "private") throw running();
  });
}

function running(): Problem {
  return new Problem(
    "invalid_request",
    "The session is running, and what runs may be using /memory/me.",
    "Interrupt it, or share it when it is idle.",
  );
}

async function audit(transaction: Transaction<Tables>, principal: Principal, sessionId: string): Promise<void> {
  const { organizationId, apiKeyId, userId = null } = principal;
  await sql`
    insert into audit_log (organization_id, session_id, principal, action, resource, decision, reasons, digest)
    values (${organizationId}, ${sessionId}, ${storableJson({ type: "api_key", id: apiKeyId, user_id: userId })}::jsonb,
      'session.share', ${sessionId}, 'allow', '["the session is the caller''s"]'::jsonb,
      ${callDigest({ toolName: "session.share", input: {}, sessionId })})`.execute(transaction);
}
