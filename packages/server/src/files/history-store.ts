/**
 * What tools have answered in this session, as files: one for each call, read from the session's own log. A result that
 * a compaction has cut stays readable here. Nothing is stored twice, and nothing can be written.
 * @module
 */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../db/tables.ts";
import { compileGlob } from "./glob-pattern.ts";
import { historyDirectory, isWithin, relativePath } from "./path.ts";
import { startSearch } from "./search-request.ts";
import { type DirectoryOperations, FileError, type FileStatus, type FileStore } from "./store.ts";
import { encodeText } from "./text.ts";

/** Results looked at by one search, the latest first. */
const searchedResults = 2_000;
/** Results whose text is in memory at once. */
const batchSize = 50;

interface HistoryFile {
  readonly path: string;
  readonly at: Date;
}

/** @param sessionId Whose log: another session's results are not found. */
export function createHistoryStore(database: Kysely<Tables>, sessionId: string): FileStore & DirectoryOperations {
  const refuse = (path: string) =>
    Promise.reject(new FileError("read_only", `${historyDirectory} is read-only, so ${path} was not changed.`));
  return {
    async read(path) {
      if (path === historyDirectory) throw new FileError("is_directory", `${historyDirectory} is a directory.`);
      const [found] = await readTexts(database, sessionId, [path]);
      if (found === undefined) throw new FileError("not_found", `${path} does not exist.`);
      return { bytes: encodeText(found.text), version: null };
    },
    write: refuse,
    edit: refuse,
    remove: refuse,
    makeDirectory: refuse,
    rename: refuse,
    removeTree: refuse,
    async stat(path) {
      if (path === historyDirectory) return statusOf(path, "directory", new Date(0));
      const file = (await listFiles(database, sessionId, path)).find((one) => one.path === path);
      return file === undefined ? null : statusOf(path, "file", file.at);
    },
    async list(path, maximum) {
      if (path !== historyDirectory) throw new FileError("not_found", `${path} is no directory that exists.`);
      const files = await listFiles(database, sessionId, path);
      return files.slice(0, maximum).map((file) => statusOf(file.path, "file", file.at));
    },
    async glob(path, pattern, maximum) {
      const matches = compileGlob(pattern);
      const files = await listFiles(database, sessionId, path);
      return files
        .filter((file) => matches(relativePath(path, file.path)))
        .slice(0, maximum)
        .map((file) => ({ path: file.path, modifiedAt: file.at.getTime() }));
    },
    async grep(request) {
      const search = startSearch(request);
      const selected = (await listFiles(database, sessionId, request.path)).filter(({ path }) => search.wants(path));
      for (let start = 0; start < selected.length; start += batchSize) {
        const paths = selected.slice(start, start + batchSize).map((file) => file.path);
        for (const { path, text } of await readTexts(database, sessionId, paths)) {
          if (!(await search.add(path, text))) return search.result();
        }
      }
      return search.result();
    },
  };
}

/** The size is not known before the text is put together. */
function statusOf(path: string, kind: FileStatus["kind"], at: Date): FileStatus {
  return { path, kind, size: 0, executable: false, modifiedAt: at.getTime() };
}

const resultTypes = ["agent.tool_result", "user.custom_tool_result"] as const;
const callId = sql<string>`coalesce(event.data->>'tool_use_id', event.data->>'custom_tool_use_id')`;

/** At or below `path`, the latest first. */
async function listFiles(database: Kysely<Tables>, sessionId: string, path: string): Promise<readonly HistoryFile[]> {
  const rows = await database
    .selectFrom("session_events as event")
    .select([callId.as("call_id"), "event.created_at"])
    .where("event.session_id", "=", sessionId)
    .where("event.type", "in", [...resultTypes])
    .orderBy("event.seq", "desc")
    .limit(searchedResults)
    .execute();
  const files = rows.map((row) => ({ path: pathOf(row.call_id), at: row.created_at }));
  return files.filter((file) => isWithin(path, file.path));
}

function pathOf(id: string): string {
  return `${historyDirectory}/${id}.txt`;
}

async function readTexts(
  database: Kysely<Tables>,
  sessionId: string,
  paths: readonly string[],
): Promise<readonly { readonly path: string; readonly text: string }[]> {
  const ids = paths.flatMap((path) => /^\/history\/([A-Za-z0-9_]{1,128})\.txt$/.exec(path)?.[1] ?? []);
  if (ids.length === 0) return [];
  const rows = await database
    .selectFrom("session_events as event")
    .innerJoin("session_events as call", (join) =>
      join.onRef("call.session_id", "=", "event.session_id").onRef("call.id", "=", callId),
    )
    .select([callId.as("call_id"), "event.data as result", "call.data as call"])
    .where("event.session_id", "=", sessionId)
    .where("event.type", "in", [...resultTypes])
    .where(callId, "in", ids)
    .orderBy("event.seq")
    .execute();
  const byPath = new Map(rows.map((row) => [pathOf(row.call_id), textOf(row.call ?? {}, row.result ?? {})]));
  return paths.flatMap((path) => {
    const text = byPath.get(path);
    return text === undefined ? [] : [{ path, text }];
  });
}

type Fields = Readonly<Record<string, unknown>>;

/** The first line says which call it was. */
function textOf(call: Fields, result: Fields): string {
  const blocks: readonly unknown[] = Array.isArray(result["content"]) ? result["content"] : [];
  const parts = blocks.flatMap((block) => {
    if (typeof block !== "object" || block === null || !("type" in block)) return [];
    if (block.type === "text" && "text" in block) return [String(block.text)];
    // The text of a PDF.
    if (block.type === "document" && "context" in block && typeof block.context === "string") return [block.context];
    return [`[${String(block.type)}: only its place is shown here]`];
  });
  return [`${String(call["name"])} ${JSON.stringify(call["input"] ?? {})}`, ...parts, ""].join("\n");
}
