/** Whether what a parked call waits for has happened. Only looks. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { Claim } from "../sessions/log.ts";
import type { OpenCall } from "../sessions/state.ts";
import { settledStatus } from "../sessions/waits.ts";
import { describeDelivery } from "../webhooks/delivery-content.ts";
import { deliveryKey, findDelivery, webhookExists } from "../webhooks/stored-deliveries.ts";
import type { EndedWait } from "./effects.ts";

/** Null while it has not. */
export async function checkWait(database: Kysely<Tables>, claim: Claim, call: OpenCall): Promise<EndedWait | null> {
  if (call.wait?.type === "session") return checkSession(database, claim, call.wait.sessionId);
  return call.wait?.type === "webhook" ? checkWebhook(database, claim, call.wait.name) : null;
}

async function checkSession(database: Kysely<Tables>, claim: Claim, sessionId: string): Promise<EndedWait | null> {
  if (sessionId === claim.sessionId) return text("wait_for: a session cannot wait for itself.", true);
  const found = await settledStatus(database, claim, sessionId);
  if (found === null) return text("wait_for: there is no session with this session_id.", true);
  if (found.ended) return text(`The session ${sessionId} has ended.`, false);
  return found.rested ? text(`The session ${sessionId} has come to rest.`, false) : null;
}

/**
 * A delivery that came after the registration is admitted to the log by whoever received it; one that came before, while
 * the model was still on its way here, is found by this look.
 */
async function checkWebhook(database: Kysely<Tables>, claim: Claim, name: string): Promise<EndedWait | null> {
  const found = await findDelivery(database, claim, name);
  if (found !== null) return { ...describeDelivery(found), delivery: deliveryKey(found) };
  if (await webhookExists(database, claim.organizationId, name)) return null;
  return text("wait_for: this organization has no webhook with this name.", true);
}

function text(value: string, isError: boolean): EndedWait {
  return { content: [{ type: "text", text: value }], isError };
}
