/** For whom a new session works, and who may see it. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import { mayUse } from "./access.ts";
import type { CreateSessionInput, Principal, SessionVisibility } from "./port.ts";

export interface SessionOwner {
  /** Null: nobody in particular. */
  readonly userId: string | null;
  readonly visibility: SessionVisibility;
  /** It begins with a workspace that nobody vouches for. */
  readonly untrusted: boolean;
}

/**
 * A session that begins with a workspace of somebody's private session is that person's, and private, too.
 * @throws Problem `forbidden`, `not_found`, `invalid_request`
 */
export async function ownerOf(
  database: Kysely<Tables>,
  principal: Principal,
  input: Pick<CreateSessionInput, "userId" | "visibility" | "workspaceSnapshot">,
): Promise<SessionOwner> {
  const { origin, untrusted } =
    input.workspaceSnapshot === undefined ? nowhere : await originOf(database, principal, input.workspaceSnapshot);
  const own = principal.userId ?? null;
  const userId = input.userId ?? origin ?? own;
  if (origin !== null && (userId !== origin || input.visibility === "shared")) {
    throw new Problem(
      "invalid_request",
      "x_exoloop.workspace_snapshot: this is of a private session, and begins private sessions of its person only.",
      "Leave user_id and visibility out; the session can be shared later.",
    );
  }
  if (userId !== null && userId !== own && userId !== origin) await requireOther(database, principal, userId);
  const visibility = input.visibility ?? (userId === null ? "shared" : "private");
  if (visibility === "private" && userId === null) {
    throw new Problem(
      "invalid_request",
      "x_exoloop.visibility: a session of nobody cannot be private.",
      "Name a person with x_exoloop.user_id, or use a key of theirs.",
    );
  }
  return { userId, visibility, untrusted };
}

/** An admin makes sessions for others. @throws Problem `forbidden`, `not_found`, `invalid_request` */
async function requireOther(database: Kysely<Tables>, principal: Principal, userId: string): Promise<void> {
  if (!principal.scopes.includes("admin")) {
    throw new Problem(
      "forbidden",
      "x_exoloop.user_id: this key may not make sessions for somebody else.",
      "Leave it out, or use a key with the scope admin.",
    );
  }
  const user = await database
    .selectFrom("users")
    .select("archived_at")
    .where("id", "=", userId)
    .where("organization_id", "=", principal.organizationId)
    .executeTakeFirst();
  if (user === undefined) {
    throw new Problem(
      "not_found",
      "x_exoloop.user_id: there is no user with this id.",
      "List them with GET /v1/x/users.",
    );
  }
  if (user.archived_at === null) return;
  throw new Problem("invalid_request", "x_exoloop.user_id: this user is archived.", "Name another one.");
}

interface Origin {
  /** Whose private session; null: one that all may see. */
  readonly origin: string | null;
  /** Of a session that is deleted nobody knows. */
  readonly untrusted: boolean;
}

const nowhere: Origin = { origin: null, untrusted: false };

/** The session whose snapshot it is. @throws Problem `not_found` */
async function originOf(database: Kysely<Tables>, principal: Principal, snapshotId: string): Promise<Origin> {
  const row = await database
    .selectFrom("snapshots")
    .leftJoin("sessions", "sessions.id", "snapshots.session_id")
    .select([
      "snapshots.organization_id",
      "sessions.id as session_id",
      "private_to",
      "user_id",
      "visibility",
      "untrusted",
      "created_by",
    ])
    .where("snapshots.id", "=", snapshotId)
    .executeTakeFirst();
  if (row !== undefined) {
    const { organization_id, created_by, private_to } = row;
    const origin = { id: row.session_id ?? "", organization_id, created_by, user_id: row.user_id ?? private_to };
    const visibility = row.visibility ?? (private_to === null ? "shared" : "private");
    if (mayUse(principal, { ...origin, visibility }, "drive")) {
      return { origin: visibility === "private" ? origin.user_id : null, untrusted: row.untrusted ?? true };
    }
  }
  throw new Problem(
    "not_found",
    "x_exoloop.workspace_snapshot: there is no snapshot with this id.",
    "List them with GET /v1/x/sessions/{session_id}/snapshots.",
  );
}
