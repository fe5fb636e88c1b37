/** The mounts that Postgres serves, and what each of them takes. @module */
import { isWithin } from "./path.ts";

export interface StoredMount {
  /** Also the mount's key in Postgres. */
  readonly prefix: string;
  /** For the model's tools and for commands. */
  readonly access: "read_write" | "read_only";
  /** Bytes; text alone can be searched and edited. */
  readonly maximumTextBytes: number;
  /** Bytes; zero refuses binary files. */
  readonly maximumBinaryBytes: number;
  readonly maximumFiles: number;
}

const mebibyte = 1024 * 1024;

export const skillsMount: StoredMount = {
  prefix: "/skills",
  access: "read_only",
  maximumTextBytes: mebibyte,
  maximumBinaryBytes: 10 * mebibyte,
  maximumFiles: 20_000,
};

/** Shared by everybody in the organization. */
export const organizationMemoryMount: StoredMount = {
  prefix: "/memory/org",
  access: "read_write",
  maximumTextBytes: mebibyte,
  maximumBinaryBytes: 0,
  maximumFiles: 20_000,
};

export const storedMounts: readonly StoredMount[] = [skillsMount, organizationMemoryMount];

/** Directories whose content never belongs to the sandbox, whichever mounts exist below them. */
export const storedRoots = ["/skills", "/memory"] as const;

/** The mount that holds a path. */
export function mountOf(mounts: readonly StoredMount[], path: string): StoredMount | undefined {
  return mounts.find((mount) => path !== mount.prefix && isWithin(mount.prefix, path));
}
