/** Budgets that sessions share: set, listed and removed, as the API asks. @module */
import type { Budget, BudgetDeletion, BudgetName, PutBudgetRequest } from "@exoloop/protocol/budgets";
import { type Kysely, type Selectable, sql, type Transaction } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import { Problem } from "../errors.ts";
import { type BudgetUse, publicLimits, publicReached, publicUse, reachedLimit, readLimits } from "../loop/budgets.ts";
import type { Principal } from "../orgs/principal.ts";
import { nextPeriod } from "./periods.ts";
import { everyUser } from "./shared-budgets.ts";
import { nothingUsed, readUse, useKey } from "./use.ts";

export interface BudgetService {
  /** Of the principal's organization, with what is used of each. */
  list(principal: Principal): Promise<readonly Budget[]>;
  /**
   * Sets or replaces a budget, and wakes the sessions that rest because of one.
   * @throws Problem `invalid_request`, `not_found`
   */
  put(principal: Principal, request: PutBudgetRequest): Promise<Budget>;
  /** @throws Problem `invalid_request`, `not_found` */
  delete(principal: Principal, name: BudgetName): Promise<BudgetDeletion>;
}

interface BudgetServiceDependencies {
  readonly database: Kysely<Tables>;
  readonly engine: Pick<Engine, "wakeAt">;
}

type BudgetRow = Selectable<Tables["budgets"]>;

export function createBudgetService(dependencies: BudgetServiceDependencies): BudgetService {
  const { database } = dependencies;
  return {
    async list({ organizationId }) {
      const rows = await database
        .selectFrom("budgets")
        .selectAll()
        .where("organization_id", "=", organizationId)
        .orderBy("scope")
        .orderBy("subject")
        .orderBy("period")
        .execute();
      return writeBudgets(database, organizationId, rows);
    },
    async put(principal, request) {
      const row = await putBudget(dependencies, principal, request);
      const [budget] = await writeBudgets(database, principal.organizationId, [row]);
      if (budget === undefined) throw new Error("a stored budget was not written");
      return budget;
    },
    delete: (principal, name) => deleteBudget(dependencies, principal, name),
  };
}

async function putBudget(
  { database, engine }: BudgetServiceDependencies,
  { organizationId }: Principal,
  request: PutBudgetRequest,
): Promise<BudgetRow> {
  const limits = readLimits(request.limits);
  if (Object.keys(limits).length === 0) {
    throw new Problem("invalid_request", "limits: none is given.", "Give one, or remove the budget with DELETE.");
  }
  const subject = subjectOf(organizationId, request);
  return database.transaction().execute(async (transaction) => {
    if (request.scope === "user" && subject !== everyUser) await requireUser(transaction, organizationId, subject);
    const row = await transaction
      .insertInto("budgets")
      .values({
        organization_id: organizationId,
        scope: request.scope,
        subject,
        period: request.period,
        limits: JSON.stringify(limits),
      })
      .onConflict((conflict) =>
        conflict
          .columns(["organization_id", "scope", "subject", "period"])
          .doUpdateSet({ limits: JSON.stringify(limits), updated_at: sql<Date>`now()` }),
      )
      .returningAll()
      .executeTakeFirstOrThrow();
    await wakeHeldSessions(transaction, engine, organizationId);
    return row;
  });
}

async function deleteBudget(
  { database, engine }: BudgetServiceDependencies,
  { organizationId }: Principal,
  name: BudgetName,
): Promise<BudgetDeletion> {
  const subject = subjectOf(organizationId, name);
  await database.transaction().execute(async (transaction) => {
    const { numDeletedRows } = await transaction
      .deleteFrom("budgets")
      .where("organization_id", "=", organizationId)
      .where("scope", "=", name.scope)
      .where("subject", "=", subject)
      .where("period", "=", name.period)
      .executeTakeFirst();
    if (numDeletedRows === 0n) {
      throw new Problem("not_found", "There is no such budget.", "List budgets with GET /v1/x/budgets.");
    }
    await wakeHeldSessions(transaction, engine, organizationId);
  });
  return { type: "budget_deleted", scope: name.scope, subject, period: name.period };
}

/** @throws Problem `invalid_request` */
function subjectOf(organizationId: string, { scope, subject }: BudgetName): string {
  if (scope === "organization") {
    if (subject === undefined || subject === organizationId) return organizationId;
    throw new Problem("invalid_request", "subject: not this key's organization.", "Leave it out.");
  }
  if (subject !== undefined) return subject;
  const hint = `Give the id of an API key, or ${everyUser} for every user without a budget of their own.`;
  throw new Problem("invalid_request", "subject: a budget of the scope user needs one.", hint);
}

/** Users are known by their API keys. */
async function requireUser(database: Kysely<Tables>, organizationId: string, subject: string): Promise<void> {
  const key = await database
    .selectFrom("api_keys")
    .select("id")
    .where("id", "=", subject)
    .where("organization_id", "=", organizationId)
    .executeTakeFirst();
  if (key === undefined) throw new Problem("not_found", "subject: the organization has no API key with this id.");
}

/** All of them look for themselves whether there is room: which budget held which is only known to the logs. */
async function wakeHeldSessions(
  transaction: Transaction<Tables>,
  engine: Pick<Engine, "wakeAt">,
  organizationId: string,
): Promise<void> {
  const rows = await transaction
    .selectFrom("sessions")
    .select("id")
    .where("organization_id", "=", organizationId)
    .where("held_by_budget", "=", true)
    .where("archived_at", "is", null)
    // In one order: two such transactions never wait for each other crosswise.
    .orderBy("id")
    .execute();
  // What other processes remember of the old budget is forgotten by then.
  const at = new Date(Date.now() + afterRememberedMs);
  for (const { id } of rows) await engine.wakeAt(id, at, transaction);
}

const afterRememberedMs = 1_500;

async function writeBudgets(
  database: Kysely<Tables>,
  organizationId: string,
  rows: readonly BudgetRow[],
): Promise<readonly Budget[]> {
  const now = Date.now();
  const used = await readUse(database, organizationId, rows, now);
  return rows.map((row) => writeBudget(row, used.get(useKey(row, row.period)) ?? nothingUsed, now));
}

function writeBudget(row: BudgetRow, used: BudgetUse, now: number): Budget {
  const { scope, subject, period, limits } = row;
  const apart = subject === everyUser;
  const reached = apart ? null : reachedLimit(used, limits);
  const resetsAt = nextPeriod(period, now);
  return {
    type: "budget",
    scope,
    subject,
    period,
    limits: publicLimits(limits),
    used: apart ? null : publicUse(used),
    reached: reached === null ? null : publicReached(reached),
    resets_at: resetsAt === null ? null : new Date(resetsAt).toISOString(),
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}
