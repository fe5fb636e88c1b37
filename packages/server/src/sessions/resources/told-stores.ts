/** What the model of a session is told of its memory stores. Pure but for reading them. @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../../db/tables.ts";

/** A store as the model is told of it. */
export interface ToldStore {
  /** Where the session has it. */
  readonly path: string;
  readonly name: string;
  readonly access: "read_only" | "read_write";
  readonly description: string;
  readonly instructions: string | null;
}

/** Where the files of a session are: in this server's sandboxes, or with a worker of the client's own. */
export function storeRoot(environmentType: string): string {
  return environmentType === "self_hosted" ? "/mnt/memory" : "/memory";
}

/**
 * Those that were attached when the session began, whatever became of them: the beginning of a prompt does not change.
 * For a thread, those that its session had when it began.
 */
export async function toldStores(database: Kysely<Tables>, sessionId: string): Promise<readonly ToldStore[]> {
  const { rows } = await sql<Omit<ToldStore, "path"> & { directory: string; environment_type: string | null }>`
    select resource.directory, resource.name, resource.access, coalesce(resource.description, '') as description,
      resource.instructions, environment.config->>'type' as environment_type
    from sessions session
      join environments environment on environment.id = session.environment_id
      join session_resources resource on resource.session_id = coalesce(session.parent_session_id, session.id)
    where session.id = ${sessionId} and resource.type = 'memory_store'
      and case when session.parent_session_id is null then resource.initial
        else resource.created_at <= session.created_at
          and (resource.removed_at is null or resource.removed_at > session.created_at) end
    order by resource.position`.execute(database);
  return rows.map(({ directory, environment_type, ...store }) => ({
    ...store,
    path: `${storeRoot(environment_type ?? "")}/${directory}`,
  }));
}

/** @example describeStores([]) // null */
export function describeStores(stores: readonly ToldStore[]): string | null {
  if (stores.length === 0) return null;
  return [
    "These memory stores are attached to this session: directories of text files that are kept beyond it.",
    "Look into them before you begin, and keep there what will be of use later; files in a read-only one cannot be changed.",
    ...stores.map(describeStore),
  ].join("\n");
}

function describeStore({ path, name, access, description, instructions }: ToldStore): string {
  const parts = [
    ...(description === "" ? [] : [`<description>${escapeText(description)}</description>`]),
    ...(instructions === null || instructions === ""
      ? []
      : [`<instructions>${escapeText(instructions)}</instructions>`]),
  ];
  const attributes = `path="${path}" name="${escapeText(name)}" access="${access}"`;
  return [`<memory_store ${attributes}>`, ...parts, "</memory_store>"].join("\n");
}

/** What is said of a store cannot end its element, nor begin another. */
function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** For a session that has begun. */
export function tellAttached(store: ToldStore): string {
  return `A memory store was attached to this session just now:\n${describeStore(store)}`;
}

export function tellDetached(path: string): string {
  return `The memory store at ${path} is no longer attached to this session: its files cannot be read or changed any more.`;
}
