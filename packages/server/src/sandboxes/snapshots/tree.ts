/** Paths of a workspace: absolute inside the sandbox, relative in a manifest. @module */

/** @throws Error for a path that is not below the root: a provider listed what it was not asked for. */
export function toRelative(root: string, path: string): string {
  if (!path.startsWith(`${root}/`)) throw new Error("the sandbox listed a path outside of what was asked for");
  return path.slice(root.length + 1);
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
