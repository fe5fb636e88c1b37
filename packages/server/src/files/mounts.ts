/** The mounts that Postgres serves, and what each of them takes. @module */
import { maximumMemoriesInStore, maximumMemoryBytes } from "@exoloop/protocol/memories";
import { isWithin } from "./path.ts";

/** Some files in Postgres, at the place where whoever uses them sees them. */
export interface StoredMount {
  /** Which files: `skills`, `memory/org`, `memory/user/<user>` or `store/<memory store>`. Postgres knows them by it. */
  readonly key: string;
  /** Where they are seen. Empty: their paths are those that are stored, which begin with a slash. */
  readonly prefix: string;
  /** For the model's tools and for commands. */
  readonly access: "read_write" | "read_only";
  /** Bytes; text alone can be searched and edited. */
  readonly maximumTextBytes: number;
  /** Bytes; zero refuses binary files. */
  readonly maximumBinaryBytes: number;
  readonly maximumFiles: number;
  /** Bytes of all files together; absent: 2 GiB. */
  readonly maximumBytes?: number;
}

const mebibyte = 1024 * 1024;

export const skillsMount: StoredMount = {
  key: "skills",
  prefix: "/skills",
  access: "read_only",
  maximumTextBytes: mebibyte,
  maximumBinaryBytes: 10 * mebibyte,
  maximumFiles: 20_000,
};

/** Shared by everybody in the organization. */
export const organizationMemoryMount: StoredMount = {
  key: "memory/org",
  prefix: "/memory/org",
  access: "read_write",
  maximumTextBytes: mebibyte,
  maximumBinaryBytes: 0,
  maximumFiles: 20_000,
};

/** What every session sees, whoever's it is. */
export const storedMounts: readonly StoredMount[] = [skillsMount, organizationMemoryMount];

/**
 * The files of a memory store.
 * @param prefix Where they are seen: `/memory/<directory>` in a session; empty for the API, whose paths are the stored ones.
 * @example memoryStoreMount("store/memstore_01…", "/memory/notes", "read_only")
 */
export function memoryStoreMount(key: string, prefix: string, access: StoredMount["access"]): StoredMount {
  return {
    key,
    prefix,
    access,
    maximumTextBytes: maximumMemoryBytes,
    maximumBinaryBytes: 0,
    maximumFiles: maximumMemoriesInStore,
  };
}

/** @example memoryStoreKey("memstore_01…") // "store/memstore_01…" */
export function memoryStoreKey(storeId: string): string {
  return `store/${storeId}`;
}

/**
 * One person's own memory. Only private sessions of that person have it.
 * @example personalMemoryMount("user_06ERZW1S4M3V8Q6P1K2T7XY9AB").key // "memory/user/user_06ERZW1S4M3V8Q6P1K2T7XY9AB"
 */
export function personalMemoryMount(userId: string): StoredMount {
  return {
    key: `memory/user/${userId}`,
    prefix: "/memory/me",
    access: "read_write",
    maximumTextBytes: mebibyte,
    maximumBinaryBytes: 0,
    maximumFiles: 20_000,
  };
}

/**
 * Where `/memories` leads: the person's own memory, else the first attached store that may be written, else the
 * organization's.
 * @param mounts Of one session, in the order in which its stores were attached.
 */
export function defaultMemoryOf(mounts: readonly StoredMount[]): StoredMount | undefined {
  return (
    mounts.find(({ key }) => key.startsWith("memory/user/")) ??
    mounts.find(({ key, access }) => key.startsWith("store/") && access === "read_write") ??
    mounts.find(({ key }) => key === organizationMemoryMount.key)
  );
}

/** Directories whose content never belongs to the sandbox, whichever mounts exist below them. */
export const storedRoots = ["/skills", "/memory"] as const;

/** Memory that several people write: the reader is told who wrote what. */
export function isShared({ key }: StoredMount): boolean {
  return key === organizationMemoryMount.key || key.startsWith("store/");
}

/** The mount that holds a path. */
export function mountOf(mounts: readonly StoredMount[], path: string): StoredMount | undefined {
  return mounts.find((mount) => path !== mount.prefix && isWithin(mount.prefix, path));
}

/**
 * The path of a file within its mount, as it is stored.
 * @param path In the mount.
 * @example pathInMount(organizationMemoryMount, "/memory/org/a.md") // "/a.md"
 */
export function pathInMount(mount: StoredMount, path: string): string {
  return path.slice(mount.prefix.length);
}

/** Where a stored file is seen. */
export function visiblePath(mount: StoredMount, stored: string): string {
  return `${mount.prefix}${stored}`;
}
