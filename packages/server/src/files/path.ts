/**
 * Paths as models write them, made absolute and normal. Nothing here touches a file: a path of a sandbox is resolved
 * inside the sandbox, a path of a stored file is a key in Postgres.
 * @module
 */
import { FileError } from "./store.ts";

/** Where relative paths begin. */
export const workspaceDirectory = "/workspace";

/** Where what tools have answered in a session can be read, one file for each call. */
export const historyDirectory = "/history";

/** Bytes: the longest path that Linux accepts. */
const longestPath = 4_096;
/** Of a stored path, as its viewer sees it. */
export const storedPathLimits = { bytes: 1_024, segments: 20 } as const;
/** Bytes: a stored file becomes a real one in the sandbox. */
const longestSegment = 255;

/**
 * An absolute path without empty, `.` and `..` segments and without a slash at its end.
 * @throws FileError `invalid_path`
 * @example resolvePath("src/../a.ts") // "/workspace/a.ts"
 */
export function resolvePath(path: string, base: string = workspaceDirectory): string {
  if (path === "") throw invalid(path, "is empty");
  if (!path.isWellFormed() || path.includes("\0")) throw invalid(path, "is not valid text");
  if (Buffer.byteLength(path) > longestPath) throw invalid(path, `is longer than ${longestPath} bytes`);
  const segments: string[] = [];
  for (const segment of `${path.startsWith("/") ? "" : base}/${path}`.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment !== "..") segments.push(segment);
    else if (segments.pop() === undefined) throw invalid(path, "leads out of the file system");
  }
  return `/${segments.join("/")}`;
}

/**
 * The key under which a file is stored: the path in Unicode's composed form (NFC), within the limits, without
 * characters that make two different names look the same.
 * @param path As {@link resolvePath} returns it.
 * @param prefix Of the mount: the limits are those of the path within it, so that what one session can store under a
 *   short name another can read under a longer one.
 * @throws FileError `invalid_path`
 */
export function storedPath(path: string, prefix: string = ""): string {
  const composed = path.normalize("NFC");
  const inside = isWithin(prefix, composed) ? composed.slice(prefix.length) : composed;
  if (Buffer.byteLength(inside) > storedPathLimits.bytes)
    throw invalid(path, `is longer than ${storedPathLimits.bytes} bytes`);
  const segments = composed.slice(1).split("/");
  if (inside.split("/").length - 1 > storedPathLimits.segments)
    throw invalid(path, `has more than ${storedPathLimits.segments} segments`);
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u.test(composed))
    throw invalid(path, "holds an invisible or control character");
  if (/%(?:2e|2f|5c|00)/i.test(composed)) throw invalid(path, "holds an encoded dot, slash, backslash or NUL");
  for (const segment of segments) {
    if (segment !== segment.trim()) throw invalid(path, "has a segment that begins or ends with a space");
    if (Buffer.byteLength(segment) > longestSegment)
      throw invalid(path, `has a segment longer than ${longestSegment} bytes`);
  }
  return composed;
}

/** Two stored paths with the same fold are twins on file systems that ignore case. */
export function foldPath(path: string): string {
  return path.toLowerCase().normalize("NFC");
}

/** @example parentPath("/memory/org/a.md") // "/memory/org" */
export function parentPath(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}

/** The directories between `root` and `path`, outermost first, without either. */
export function ancestorsBelow(root: string, path: string): string[] {
  const found: string[] = [];
  for (let at = parentPath(path); at.length > root.length && at !== "/"; at = parentPath(at)) found.unshift(at);
  return found;
}

/** Whether `path` is `directory` or lies below it. */
export function isWithin(directory: string, path: string): boolean {
  return directory === "/" || path === directory || path.startsWith(`${directory}/`);
}

/** @example relativePath("/workspace", "/workspace/src/a.ts") // "src/a.ts" */
export function relativePath(directory: string, path: string): string {
  return path.slice(directory === "/" ? 1 : directory.length + 1);
}

function invalid(path: string, why: string): FileError {
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  return new FileError("invalid_path", `The path ${JSON.stringify(shown)} ${why}.`);
}
