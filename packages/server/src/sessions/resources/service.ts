/** The resources of a session that exists, as the API asks for them. @module */
import type { ResourceInput, SessionResource } from "@exoloop/protocol/session-resources";
import { type Kysely, sql, type Transaction } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { Problem } from "../../errors.ts";
import { recordEvent } from "../event.ts";
import { findOpenSession, lockOpenSession } from "../access.ts";
import { refuseArchived } from "../locked-session.ts";
import { appendUnderLock } from "../log.ts";
import type { NoticeBoard } from "../notices.ts";
import type { Principal } from "../port.ts";
import { attachResources } from "./attach.ts";
import { readResources, type ResourceRow, toResource } from "./read-resources.ts";
import { storeRoot, tellAttached, tellDetached } from "./told-stores.ts";

/** Every method throws Problem `not_found` for a session or a resource that the caller does not have, `forbidden` for a session
 * that it may not look into. */
export interface SessionResourceService {
  /** The model is told at its next step. @throws Problem `session_archived`, and as attachResources does */
  add(principal: Principal, sessionId: string, input: ResourceInput): Promise<SessionResource>;
  list(principal: Principal, sessionId: string): Promise<readonly SessionResource[]>;
  /** @param resourceId A memory store's own identifier. */
  get(principal: Principal, sessionId: string, resourceId: string): Promise<SessionResource>;
  /** @throws Problem `session_archived` */
  remove(principal: Principal, sessionId: string, resourceId: string): Promise<void>;
}

export interface ResourceDependencies {
  readonly database: Kysely<Tables>;
  readonly notices: Pick<NoticeBoard, "publish">;
}

export function createSessionResources({ database, notices }: ResourceDependencies): SessionResourceService {
  const list = async (principal: Principal, sessionId: string) => {
    await findOpenSession(database, principal, sessionId, "drive");
    return (await readResources(database, [sessionId])).get(sessionId) ?? [];
  };
  const tell = async <Result>(
    principal: Principal,
    sessionId: string,
    change: (
      transaction: Transaction<Tables>,
      root: string,
    ) => Promise<{ readonly note: string; readonly result: Result }>,
  ): Promise<Result> => {
    const { seq, result } = await database.transaction().execute(async (transaction) => {
      const session = await lockOpenSession(transaction, principal, sessionId, "drive");
      refuseArchived(session);
      const root = storeRoot(await environmentType(transaction, session.environment_id));
      const changed = await change(transaction, root);
      const event = recordEvent("x.resources_changed", { text: changed.note });
      const stored = await appendUnderLock(transaction, sessionId, [event]);
      return { seq: stored.at(-1)?.seq ?? 0, result: changed.result };
    });
    notices.publish({ type: "appended", sessionId, seq });
    return result;
  };
  return {
    add: (principal, sessionId, input) =>
      tell(principal, sessionId, async (transaction, root) => {
        const { organizationId } = principal;
        const options = { initial: false, field: () => "resource" };
        const [row] = await attachResources(transaction, { organizationId, sessionId }, [input], options);
        if (row === undefined) throw resourceNotFound("");
        return { note: tellAttached(toldStore(row, root)), result: toResource(row) };
      }),
    list,
    async get(principal, sessionId, resourceId) {
      const resources = await list(principal, sessionId);
      const found = resources.find((resource) => identifierOf(resource) === resourceId);
      if (found === undefined) throw resourceNotFound(resourceId);
      return found;
    },
    remove: (principal, sessionId, resourceId) =>
      tell(principal, sessionId, async (transaction, root) => {
        const row = await transaction
          .updateTable("session_resources")
          .set({ removed_at: sql<Date>`now()`, updated_at: sql<Date>`now()` })
          .where("session_id", "=", sessionId)
          .where("removed_at", "is", null)
          .where("memory_store_id", "=", resourceId)
          .returningAll()
          .executeTakeFirst();
        if (row === undefined) throw resourceNotFound(resourceId);
        return { note: tellDetached(`${root}/${row.directory ?? ""}`), result: undefined };
      }),
  };
}

function toldStore(row: ResourceRow, root: string) {
  return {
    path: `${root}/${row.directory ?? ""}`,
    name: row.name ?? "",
    access: row.access ?? "read_only",
    description: row.description ?? "",
    instructions: row.instructions,
  };
}

function identifierOf(resource: SessionResource): string {
  return resource.type === "file" ? resource.id : resource.memory_store_id;
}

async function environmentType(database: Kysely<Tables>, environmentId: string): Promise<string> {
  const { rows } = await sql<{ type: string | null }>`
    select config->>'type' as type from environments where id = ${environmentId}`.execute(database);
  return rows[0]?.type ?? "";
}

function resourceNotFound(resourceId: string): Problem {
  return new Problem(
    "not_found",
    `The session has no resource with the id ${JSON.stringify(resourceId)}.`,
    "List them with GET /v1/sessions/{session_id}/resources; a memory store is named by its own id.",
  );
}
