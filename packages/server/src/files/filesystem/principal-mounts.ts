/** Which stored files a caller of the API sees, and where. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";
import type { Principal } from "../../orgs/principal.ts";
import {
  memoryStoreMount,
  organizationMemoryMount,
  personalMemoryMount,
  skillsMount,
  type StoredMount,
} from "../mounts.ts";
import { resolvePath, storedPath, isWithin } from "../path.ts";
import { storeDirectory } from "../../sessions/resources/store-directory.ts";
import { followAliases } from "../routing/aliases.ts";
import { readSessionView } from "../session-mounts.ts";
import { FileError } from "../store.ts";

/**
 * Keys of workers see what their session sees. Skills are changed by admins only: every session of the organization
 * does what they say.
 */
export async function principalMounts(database: Kysely<Tables>, principal: Principal): Promise<readonly StoredMount[]> {
  const { organizationId, session, environment } = principal;
  if (environment !== undefined) return [];
  if (session !== undefined)
    return (await readSessionView(database, { organizationId, sessionId: session.sessionId })).mounts;
  const access = principal.scopes.includes("admin") ? "read_write" : "read_only";
  const personal = principal.userId ? [personalMemoryMount(principal.userId)] : [];
  return [
    { ...skillsMount, access },
    organizationMemoryMount,
    ...personal,
    ...(await storeMounts(database, organizationId)),
  ];
}

const mostStores = 1_000;

/** By the names that sessions give them; where two have one name, the older one is not numbered. */
async function storeMounts(database: Kysely<Tables>, organizationId: string): Promise<readonly StoredMount[]> {
  const stores = await database
    .selectFrom("memory_stores")
    .select(["mount", "name"])
    .where("organization_id", "=", organizationId)
    .where("archived_at", "is", null)
    .where("mount", "!=", organizationMemoryMount.key)
    .orderBy("created_at")
    .orderBy("id")
    .limit(mostStores)
    .execute();
  const taken = new Set<string>();
  return stores.map(({ mount, name }) => {
    const directory = storeDirectory(name, taken);
    taken.add(directory);
    return memoryStoreMount(mount, `/memory/${directory}`, "read_write");
  });
}

/** A path of the caller, and the mount that holds it. */
export interface Placed {
  readonly path: string;
  /** Null above the mounts, such as `/` and `/memory`. */
  readonly mount: StoredMount | null;
}

/**
 * @throws FileError `invalid_path`, `not_found` for a place where nothing is ever stored
 * @example place(mounts, "/memory/org/a.md").mount?.key // "memory/org"
 */
export function place(mounts: readonly StoredMount[], wanted: string): Placed {
  if (!wanted.startsWith("/"))
    throw new FileError(
      "invalid_path",
      `The path ${JSON.stringify(wanted.slice(0, 200))} does not begin with a slash.`,
    );
  if (wanted.split("/").includes(".."))
    throw new FileError("invalid_path", `The path ${JSON.stringify(wanted.slice(0, 200))} has a segment "..".`);
  // `/memories` is a session's: here it is nothing.
  const resolved = followAliases("/memories", resolvePath(wanted));
  const composed = resolved.normalize("NFC");
  const mount = mounts.find(({ prefix }) => isWithin(prefix, composed));
  const path = resolved === "/" ? resolved : storedPath(resolved, mount?.prefix);
  if (mount !== undefined) return { path, mount };
  if (mounts.some(({ prefix }) => isWithin(path, prefix))) return { path, mount: null };
  throw new FileError(
    "not_found",
    `${path} does not exist. Files are stored below ${mounts.map(({ prefix }) => prefix).join(", ") || "no path that this key sees"}.`,
  );
}

/** As {@link place}, for a path in a mount, not the mount itself. */
export function placeInMount(mounts: readonly StoredMount[], wanted: string): { path: string; mount: StoredMount } {
  const { path, mount } = place(mounts, wanted);
  if (mount === null || path === mount.prefix)
    throw new FileError("is_directory", `${path} is a directory that is always there: name something below it.`);
  return { path, mount };
}

/** Mounts that hold something at or below a path. */
export function mountsBelow(mounts: readonly StoredMount[], wanted: string) {
  const { path, mount } = place(mounts, wanted);
  return { path, mounts: mount === null ? mounts.filter(({ prefix }) => isWithin(path, prefix)) : [mount] };
}
