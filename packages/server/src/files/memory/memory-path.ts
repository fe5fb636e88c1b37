/** Paths of memories, as the API takes them: nothing is made normal, what is not in form is refused. Pure. @module */
import { Problem } from "../../errors.ts";
import { storedPath } from "../path.ts";
import { FileError } from "../store.ts";

/**
 * @param field What the path is called in the request.
 * @throws Problem `invalid_path`
 * @example checkMemoryPath("/notes/today.md", "path") // "/notes/today.md"
 */
export function checkMemoryPath(path: string, field: string): string {
  const refuse = (why: string) =>
    new Problem(
      "invalid_path",
      `${field}: ${why}.`,
      "A path looks like /notes/today.md: 1 to 20 segments, at most 1,024 bytes, in Unicode's composed form (NFC).",
    );
  if (!path.startsWith("/")) throw refuse("a path begins with a slash");
  const segments = path.slice(1).split("/");
  if (segments.includes("")) throw refuse("a segment is empty");
  if (segments.includes(".") || segments.includes("..")) throw refuse("a segment cannot be . or ..");
  if (path !== path.normalize("NFC")) throw refuse("the path is not in Unicode Normalization Form C");
  try {
    return storedPath(path);
  } catch (error) {
    throw error instanceof FileError ? refuse(error.message.replace(/\.$/, "")) : error;
  }
}

/**
 * The beginning of the paths that are listed.
 * @throws Problem `invalid_path`
 */
export function checkPathPrefix(prefix: string): string {
  if (prefix === "/") return prefix;
  if (!prefix.endsWith("/")) {
    throw new Problem("invalid_path", "path_prefix: a prefix ends with a slash.", "Send it as in /notes/.");
  }
  return `${checkMemoryPath(prefix.slice(0, -1), "path_prefix")}/`;
}
