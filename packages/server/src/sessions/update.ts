/** Changes of a session through the API. One transaction: the row, the event that says so, and the wake. @module */
import type { Kysely, Selectable, Transaction } from "kysely";
import { changedMetadata } from "../agents/definition.ts";
import { patchSessionAgent } from "../agents/resolve.ts";
import type { SessionTable, Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import { Problem } from "../errors.ts";
import { type BudgetLimits, publicLimits } from "../loop/budgets.ts";
import { publicEvent } from "./event.ts";
import { lockOpenSession } from "./access.ts";
import { refuseArchived } from "./locked-session.ts";
import { appendUnderLock } from "./log.ts";
import type { NoticeBoard } from "./notices.ts";
import type { Principal, SessionRow, UpdateSessionInput } from "./port.ts";
import { changedBudget, requirePrices } from "./session-budget.ts";
import { writeBudgetLimit } from "./usage-snapshot.ts";

interface UpdateDependencies {
  readonly database: Kysely<Tables>;
  readonly engine: Engine;
  readonly notices: NoticeBoard;
  readonly isPriced: (model: string) => boolean;
}

export async function updateSession(
  { database, engine, notices, isPriced }: UpdateDependencies,
  principal: Principal,
  sessionId: string,
  patch: UpdateSessionInput,
): Promise<void> {
  const seq = await database.transaction().execute(async (transaction) => {
    const row = await lockOpenSession(transaction, principal, sessionId, "drive");
    refuseArchived(row);
    const changed: Record<string, unknown> = {};
    if (patch.title !== undefined && patch.title !== row.title) changed["title"] = patch.title;
    if (patch.metadata !== undefined) {
      const metadata = changedMetadata(row.metadata, patch.metadata);
      if (JSON.stringify(metadata) !== JSON.stringify(row.metadata)) changed["metadata"] = metadata;
    }
    if (patch.agent !== undefined) {
      if (row.status === "running" || row.status === "rescheduling") {
        throw new Problem("invalid_request", "agent: the session is running.", "Change it when the session is idle.");
      }
      changed["agent"] = patchSessionAgent(row.agent as SessionRow["agent"], patch.agent);
    }
    const budget = await budgetAfter(transaction, row, patch, isPriced);
    if (budget !== null) Object.assign(changed, budgetEvent(row.budget ?? {}, budget));
    if (Object.keys(changed).length === 0) return null;
    await transaction
      .updateTable("sessions")
      .set({
        ...("title" in changed ? { title: patch.title ?? null } : {}),
        ...("metadata" in changed ? { metadata: JSON.stringify(changed["metadata"]) } : {}),
        ...("agent" in changed ? { agent: JSON.stringify(changed["agent"]) } : {}),
        ...(budget === null ? {} : { budget: JSON.stringify(budget) }),
      })
      .where("id", "=", sessionId)
      .execute();
    const events = await appendUnderLock(transaction, sessionId, [publicEvent("session.updated", changed)]);
    // Always: a turn that runs may be about to rest because of the budget that it read when it began.
    if (budget !== null) await engine.wake(sessionId, transaction);
    return events.at(-1)?.seq ?? null;
  });
  if (seq !== null) notices.publish({ type: "appended", sessionId, seq });
}

/** Null when it does not change. */
async function budgetAfter(
  transaction: Transaction<Tables>,
  row: Selectable<SessionTable>,
  patch: UpdateSessionInput,
  isPriced: (model: string) => boolean,
): Promise<BudgetLimits | null> {
  if (patch.budget === undefined) return null;
  const current = row.budget ?? {};
  const budget = await changedBudget(transaction, row.id, current, patch.budget);
  if (budget?.costMicros !== undefined && budget.costMicros !== current.costMicros) {
    requirePrices(row.agent as SessionRow["agent"], isPriced);
  }
  return budget;
}

function budgetEvent(before: BudgetLimits, after: BudgetLimits) {
  return {
    ...(before.costMicros === after.costMicros ? {} : { budget: writeBudgetLimit(after.costMicros) }),
    x_exoloop: { budget: { limits: publicLimits(after) } },
  };
}
