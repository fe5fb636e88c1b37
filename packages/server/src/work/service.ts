/** The work of an environment, as the API asks for it. @module */
import { type WorkHeartbeat, type WorkItem, type WorkStats, writeWorkSecret } from "@exoloop/protocol/work";
import { type Kysely, sql } from "kysely";
import { changedMetadata } from "../agents/definition.ts";
import { type ListPage, type ListQuery, listCondition, listPage, positionColumn, readOrder } from "../agents/list.ts";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import type { Principal } from "../orgs/principal.ts";
import type { NoticeBoard } from "../sessions/notices.ts";
import { claimWork } from "./claim.ts";
import { acknowledge, beat, type HeartbeatRequest, type LeaseDependencies, stop, type WorkAddress } from "./leases.ts";
import { createWaitingRoom } from "./waiting-room.ts";
import { workNotFound, writeWorkItem } from "./work-item.ts";

export interface PollRequest {
  /** How long to wait for work, in milliseconds; 0 looks once. */
  readonly blockMs: number;
  readonly reclaimOlderThanMs: number;
  /** As the worker calls itself; null: it does not. */
  readonly workerId: string | null;
  /** Where the worker reaches this server. */
  readonly baseUrl: string;
  readonly signal: AbortSignal;
}

/** Every method throws Problem `not_found` for an environment or an item that is not the organization's. */
export interface WorkService {
  /** Null when there is none, also for an archived environment. @throws Problem `invalid_request` unless self-hosted */
  poll(principal: Principal, environmentId: string, request: PollRequest): Promise<WorkItem | null>;
  acknowledge(principal: Principal, address: WorkAddress): Promise<WorkItem>;
  beat(principal: Principal, address: WorkAddress, request: HeartbeatRequest): Promise<WorkHeartbeat>;
  stop(principal: Principal, address: WorkAddress, force: boolean): Promise<WorkItem>;
  get(principal: Principal, address: WorkAddress): Promise<WorkItem>;
  update(principal: Principal, address: WorkAddress, patch: Record<string, string | null>): Promise<WorkItem>;
  list(principal: Principal, environmentId: string, query: ListQuery): Promise<ListPage<WorkItem>>;
  stats(principal: Principal, environmentId: string): Promise<WorkStats>;
}

export interface WorkDependencies extends LeaseDependencies {
  readonly notices: NoticeBoard;
}

export function createWorkService(dependencies: WorkDependencies): WorkService {
  const { database } = dependencies;
  const room = createWaitingRoom(dependencies.notices);
  return {
    async poll(principal, environmentId, { blockMs, reclaimOlderThanMs, workerId, baseUrl, signal }) {
      const { organizationId } = principal;
      const archived = await requireSelfHosted(database, principal, environmentId);
      if (archived) return null;
      if (workerId !== null) await notePoller(database, organizationId, environmentId, workerId);
      const claim = () => claimWork(dependencies, { organizationId, environmentId, reclaimOlderThanMs });
      const claimed = await room.until(environmentId, claim, blockMs, signal);
      if (claimed === null) return null;
      const secret = writeWorkSecret({ sessions_token: claimed.token, api_base_url: baseUrl });
      return writeWorkItem(claimed.row, secret);
    },
    acknowledge: (principal, address) => acknowledge(dependencies, principal, address),
    beat: (principal, address, request) => beat(dependencies, principal, address, request),
    stop: (principal, address, force) => stop(dependencies, principal, address, force),
    async get(principal, address) {
      const row = await selectItem(database, principal, address).executeTakeFirst();
      if (row === undefined) throw workNotFound();
      return writeWorkItem(row);
    },
    update: (principal, address, patch) =>
      database.transaction().execute(async (transaction) => {
        const row = await selectItem(transaction, principal, address).forUpdate().executeTakeFirst();
        if (row === undefined) throw workNotFound();
        const metadata = changedMetadata(row.metadata, patch);
        await transaction
          .updateTable("work_items")
          .set({ metadata: JSON.stringify(metadata) })
          .where("id", "=", row.id)
          .execute();
        return writeWorkItem({ ...row, metadata });
      }),
    list: (principal, environmentId, query) => listWork(database, principal, environmentId, query),
    stats: (principal, environmentId) => readStats(database, principal, environmentId),
  };
}

function selectItem(database: Kysely<Tables>, { organizationId }: Principal, { environmentId, workId }: WorkAddress) {
  return database
    .selectFrom("work_items")
    .selectAll()
    .where("id", "=", workId)
    .where("environment_id", "=", environmentId)
    .where("organization_id", "=", organizationId);
}

/** Answers whether it is archived. */
async function requireSelfHosted(
  database: Kysely<Tables>,
  { organizationId }: Principal,
  environmentId: string,
): Promise<boolean> {
  const row = await database
    .selectFrom("environments")
    .select(["archived_at", sql<string>`config->>'type'`.as("type")])
    .where("id", "=", environmentId)
    .where("organization_id", "=", organizationId)
    .executeTakeFirst();
  if (row === undefined) {
    throw new Problem(
      "not_found",
      "There is no environment with the id in this path.",
      "List them with GET /v1/environments.",
    );
  }
  if (row.type === "self_hosted") return row.archived_at !== null;
  throw new Problem(
    "invalid_request",
    "The environment is not self-hosted: its sessions have sandboxes of this server and no workers.",
    'Create one with the config {"type":"self_hosted"}.',
  );
}

/** At most one write in ten seconds for each worker. */
async function notePoller(database: Kysely<Tables>, organizationId: string, environmentId: string, workerId: string) {
  await sql`
    insert into work_pollers (organization_id, environment_id, worker_id)
    values (${organizationId}, ${environmentId}, ${workerId})
    on conflict (environment_id, worker_id) do update set polled_at = now()
    where work_pollers.polled_at < now() - interval '10 seconds'`.execute(database);
}

async function listWork(
  database: Kysely<Tables>,
  principal: Principal,
  environmentId: string,
  query: ListQuery,
): Promise<ListPage<WorkItem>> {
  await requireSelfHosted(database, principal, environmentId);
  const rows = await database
    .selectFrom("work_items")
    .selectAll()
    .select(positionColumn.as("list_position"))
    .where("environment_id", "=", environmentId)
    .where("organization_id", "=", principal.organizationId)
    .where(listCondition({ ...query, includeArchived: true }))
    .orderBy("created_at", readOrder(query))
    .orderBy("id", readOrder(query))
    .limit(query.limit + 1)
    .execute();
  const page = listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
  return { ...page, rows: page.rows.map((row) => writeWorkItem(row)) };
}

async function readStats(database: Kysely<Tables>, principal: Principal, environmentId: string): Promise<WorkStats> {
  await requireSelfHosted(database, principal, environmentId);
  const { rows } = await sql<{ depth: number; pending: number; oldest: Date | null; workers: number }>`
    select count(*) filter (where state = 'queued')::int as depth,
           count(*) filter (where state = 'starting' and acknowledged_at is null)::int as pending,
           min(created_at) filter (where state = 'queued' or acknowledged_at is null) as oldest,
           (select count(*)::int from work_pollers
            where environment_id = ${environmentId} and polled_at > now() - interval '30 seconds') as workers
    from work_items
    where environment_id = ${environmentId} and organization_id = ${principal.organizationId} and state <> 'stopped'
  `.execute(database);
  const row = rows[0];
  return {
    type: "work_queue_stats",
    depth: row?.depth ?? 0,
    pending: row?.pending ?? 0,
    oldest_queued_at: row?.oldest?.toISOString() ?? null,
    workers_polling: row?.workers ?? 0,
  };
}
