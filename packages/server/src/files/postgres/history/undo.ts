/**
 * Undoing all that one session did in a mount, or one of its tool calls: one commit. What others have changed since is
 * merged where it can be, and else left and told. What is undone already is nothing to do, so that it may be repeated.
 * @module
 */
import { type Kysely, sql, type Transaction } from "kysely";
import type { Tables } from "../../../db/tables.ts";
import type { StoredMount } from "../../mounts.ts";
import { type FileActor, FileError } from "../../store.ts";
import { applyChanges, mostPuts } from "../apply.ts";
import { withLockedMount } from "./locked.ts";
import { loadLineages } from "./lineages.ts";
import { type KeptPath, type PlannedUndo, planUndo, type UndonePath, type UndoPlan } from "./undo-plan.ts";

export interface UndoRequest {
  readonly mount: StoredMount;
  /** Who undoes it. `via` is recorded as `undo` whatever it says. */
  readonly actor: FileActor;
  /** Whose changes. */
  readonly sessionId: string;
  /** Sessions that worked for it: taken back with it, as if they were one. */
  readonly threads?: readonly string[];
  /** Those of one call alone. */
  readonly toolUseId?: string;
  /** Answers what would be done. */
  readonly dryRun?: boolean;
}

export interface Undone {
  readonly revision: number;
  readonly changes: readonly UndonePath[];
  /** What could not be undone, and why. */
  readonly kept: readonly KeptPath[];
}

export async function undoSession(database: Kysely<Tables>, request: UndoRequest): Promise<Undone> {
  const { mount, dryRun = false } = request;
  const actor = { ...request.actor, via: "undo" as const };
  return withLockedMount(database, actor.organizationId, mount, { dryRun }, async (transaction, revision) => {
    const lineages = await loadLineages(transaction, request);
    const plan = inOneCommit(await planUndo(lineages));
    const { kept, possible, inGivenOrder } = await tryOut(transaction, mount, actor, plan);
    const changes = possible.flatMap((part) => part.changes);
    if (changes.length === 0) return { revision, changes: [], kept };
    const applied = await applyChanges(transaction, mount, actor, changes, { inGivenOrder });
    return { revision: applied.revision, changes: possible.flatMap((part) => part.told), kept };
  });
}

/** As many as one commit can write; the rest is kept, and told. */
function inOneCommit(plan: UndoPlan): UndoPlan {
  const parts: PlannedUndo[] = [];
  const kept = [...plan.kept];
  let puts = 0;
  for (const part of plan.parts) {
    const more = part.changes.filter((change) => change.type === "put").length;
    if (puts + more > mostPuts) {
      kept.push({ path: part.path, reason: `one commit writes ${mostPuts} files: undo again, for the rest` });
      continue;
    }
    puts += more;
    parts.push(part);
  }
  return { parts, kept };
}

/**
 * Usually all goes together. Where something stands in the way that others have made since, each part is tried by itself,
 * and those that are refused are kept; parts may need each other, so that what was refused is tried again behind what
 * went well. All of it is only a rehearsal. What went part by part has to be applied in that order, too.
 */
async function tryOut(
  transaction: Transaction<Tables>,
  mount: StoredMount,
  actor: FileActor,
  plan: UndoPlan,
): Promise<{
  readonly possible: readonly PlannedUndo[];
  readonly kept: readonly KeptPath[];
  readonly inGivenOrder: boolean;
}> {
  const attempt = async (parts: readonly PlannedUndo[], inGivenOrder: boolean): Promise<string | null> => {
    const changes = parts.flatMap((part) => part.changes);
    await sql`savepoint attempt`.execute(transaction);
    try {
      if (changes.length > 0) await applyChanges(transaction, mount, actor, changes, { inGivenOrder });
      return null;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      await sql`rollback to savepoint attempt`.execute(transaction);
      return error.message;
    }
  };
  await sql`savepoint rehearsal`.execute(transaction);
  const possible: PlannedUndo[] = [];
  const reasons = new Map<PlannedUndo, string>();
  const inGivenOrder = (await attempt(plan.parts, false)) !== null;
  let waiting: readonly PlannedUndo[] = inGivenOrder ? plan.parts : [];
  if (!inGivenOrder) possible.push(...plan.parts);
  for (let progress = true; progress && waiting.length > 0;) {
    const before = waiting.length;
    const refused: PlannedUndo[] = [];
    for (const part of waiting) {
      const reason = await attempt([part], true);
      if (reason === null) possible.push(part);
      else refused.push(part);
      reasons.set(part, reason ?? "");
    }
    waiting = refused;
    progress = refused.length < before;
  }
  await sql`rollback to savepoint rehearsal`.execute(transaction);
  const kept = waiting.map((part) => ({ path: part.path, reason: reasons.get(part) ?? "" }));
  return { possible, kept: [...plan.kept, ...kept], inGivenOrder };
}

/** The mounts (their keys) in which one of some sessions has changed anything. */
export async function mountsChangedBy(
  database: Kysely<Tables>,
  organizationId: string,
  sessionIds: readonly string[],
): Promise<readonly string[]> {
  const rows = await database
    .selectFrom("file_versions")
    .select("mount")
    .distinct()
    .where("organization_id", "=", organizationId)
    .where("session_id", "in", sessionIds)
    .orderBy("mount")
    .execute();
  return rows.map((row) => row.mount);
}
