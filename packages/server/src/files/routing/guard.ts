/**
 * The files of a session as the rules of its agent leave them. Decided before any store is asked: what may not be read is
 * answered as what is not there, what may not be written is refused.
 * @module
 */
import type { FileRule } from "@exoloop/protocol/tools";
import { decideFile, hasRuleBelow } from "../../policy/file-rules.ts";
import type { RoutedFiles } from "../router.ts";
import { FileError, type GrepRequest, type GrepResult, nothingFound } from "../store.ts";

/** How often a search is made again with more room, because what it found was not to be seen. */
const mostRounds = 6;

export function guardFiles(files: RoutedFiles, rules: readonly FileRule[]): RoutedFiles {
  return rules.length === 0 ? files : { ...files, ...readable(files, rules), ...writable(files, rules) };
}

type Readable = "read" | "glob" | "grep" | "stat" | "list";

function readable(files: RoutedFiles, rules: readonly FileRule[]): Pick<RoutedFiles, Readable> {
  const isVisible = (path: string) => decideFile(rules, { action: "file.read", path }) !== "deny";
  const requireVisible = (path: string) => {
    if (!isVisible(path)) throw new FileError("not_found", `${path} does not exist.`);
  };
  return {
    read: async (path) => {
      requireVisible(path);
      return files.read(path);
    },
    glob: async (path, pattern, maximum) =>
      isVisible(path) ? globVisible(files, isVisible, path, pattern, maximum) : [],
    grep: async (request) => (isVisible(request.path) ? grepVisible(files, isVisible, request) : nothingFound),
    stat: async (path) => (isVisible(path) ? files.stat(path) : null),
    list: async (path, maximum) => {
      requireVisible(path);
      for (let round = 1, room = maximum; ; round += 1, room *= 4) {
        const found = await files.list(path, room);
        const visible = found.filter((entry) => isVisible(entry.path));
        if (visible.length >= maximum || found.length < room || round === mostRounds) return visible.slice(0, maximum);
      }
    },
  };
}

type Writable = Exclude<keyof RoutedFiles, Readable | "resolve" | "spansMounts">;

function writable(files: RoutedFiles, rules: readonly FileRule[]): Pick<RoutedFiles, Writable> {
  const require = (...paths: readonly string[]) => {
    const refused = paths.find((path) => decideFile(rules, { action: "file.write", path }) === "deny");
    if (refused === undefined) return;
    throw new FileError("no_permission", `${refused} may not be changed by this agent. Nothing was changed.`);
  };
  /** Of what is done to a whole directory nothing may be under a rule. */
  const requireWhole = (...paths: readonly string[]) => {
    const held = paths.find((path) => hasRuleBelow(rules, path));
    if (held === undefined) return;
    throw new FileError(
      "no_permission",
      `Not everything at ${held} may be changed by this agent. Nothing was changed.`,
    );
  };
  return {
    write: async (path, ...rest) => (require(path), files.write(path, ...rest)),
    edit: async (path, ...rest) => (require(path), files.edit(path, ...rest)),
    remove: async (path, ...rest) => (require(path), files.remove(path, ...rest)),
    makeDirectory: async (path, ...rest) => (require(path), files.makeDirectory(path, ...rest)),
    transform: async (paths, ...rest) => (require(...paths), files.transform(paths, ...rest)),
    rename: async (from, to, ...rest) => (requireWhole(from, to), files.rename(from, to, ...rest)),
    move: async (from, to, ...rest) => (requireWhole(from, to), files.move(from, to, ...rest)),
    removeTree: async (path, ...rest) => (requireWhole(path), files.removeTree(path, ...rest)),
  };
}

async function globVisible(
  files: RoutedFiles,
  isVisible: (path: string) => boolean,
  path: string,
  pattern: string,
  maximum: number,
) {
  for (let round = 1, room = maximum; ; round += 1, room *= 4) {
    const found = await files.glob(path, pattern, room);
    const visible = found.filter((match) => isVisible(match.path));
    if (visible.length >= maximum || found.length < room || round === mostRounds) return visible.slice(0, maximum);
  }
}

async function grepVisible(
  files: RoutedFiles,
  isVisible: (path: string) => boolean,
  request: GrepRequest,
): Promise<GrepResult> {
  const maximum = request.maximumMatches;
  for (let round = 1, room = maximum; ; round += 1, room *= 4) {
    const found = await files.grep({ ...request, maximumMatches: room });
    const hidden =
      found.lines.filter((line) => !line.isContext && !isVisible(line.path)).length +
      found.files.filter((file) => !isVisible(file.path)).length;
    const lines = found.lines.filter((line) => isVisible(line.path));
    const seen = found.files.filter((file) => isVisible(file.path));
    if (hidden === 0 && room === maximum) return found;
    const matches = lines.filter((line) => !line.isContext).length + seen.length;
    if (matches < maximum && found.stopped === "maximum" && round < mostRounds) continue;
    return firstMatches({ lines, files: seen, stopped: found.stopped }, maximum);
  }
}

function firstMatches({ lines, files, stopped }: GrepResult, maximum: number): GrepResult {
  let left = maximum;
  const end = lines.findIndex((line) => !line.isContext && (left -= 1) < 0);
  const isCut = end !== -1 || files.length > maximum;
  return {
    lines: end === -1 ? lines : lines.slice(0, end),
    files: files.slice(0, maximum),
    stopped: isCut ? "maximum" : stopped,
  };
}
