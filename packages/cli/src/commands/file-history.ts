/** `exoloop files history|diff|restore|undo|redact|conflicts`. @module */
import { writeFile } from "node:fs/promises";
import type { FileConflict, FileRestoration, FileVersion } from "@exoloop/protocol/filesystem";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { CommandError, exitCodes, type ExitCode } from "../exit-codes.ts";
import { escapeForTerminal, escapeToLine } from "../render/escape.ts";
import { tableLines } from "../render/table.ts";
import { colorsFor } from "../render/terminal.ts";
import { momentOf, type MomentOptions } from "./files.ts";

interface JsonOption {
  readonly json?: boolean;
}

export interface HistoryOptions extends JsonOption {
  readonly session?: string;
  readonly limit: number;
}

export async function showHistory(
  context: CommandContext,
  path: string | undefined,
  { session, limit, json }: HistoryOptions,
): Promise<ExitCode> {
  const api = await context.connect();
  const versions = await api.fileVersions({
    limit,
    ...(path === undefined ? {} : { path }),
    ...(session === undefined ? {} : { session_id: session }),
  });
  if (json === true) writeJson(context.output, { data: versions });
  else if (versions.length === 0) writeLine(context.progress, "Nothing was ever changed here.");
  else for (const line of historyTable(versions, context)) writeLine(context.output, line);
  return exitCodes.ok;
}

/** Exported for its test. */
export function historyTable(versions: readonly FileVersion[], terminal: Parameters<typeof tableLines>[2]): string[] {
  const rows = versions.map((version) => [
    `v${version.version}`,
    String(version.revision),
    version.created_at.replace("T", " ").slice(0, 19),
    version.operation.replace("_", " "),
    version.author.via,
    version.author.user_id ?? version.author.session_id ?? "",
    [version.untrusted ? "untrusted" : "", version.redacted_at === null ? "" : "redacted"].join(" ").trim(),
    version.id,
    version.other_path === null ? version.path : `${version.path} (${otherEnd(version)})`,
  ]);
  return tableLines(["VERSION", "REVISION", "AT (UTC)", "WHAT", "VIA", "BY", "MARKS", "ID", "PATH"], rows, terminal);
}

function otherEnd({ operation, other_path }: FileVersion): string {
  return `${operation === "move_in" ? "from" : "to"} ${other_path ?? ""}`;
}

export interface DiffOptions extends JsonOption {
  readonly from?: number;
  readonly to?: number;
}

/** As diff does: 0 where nothing differs, 1 where something does. */
export async function showDifference(
  context: CommandContext,
  path: string,
  { from, to, json }: DiffOptions,
): Promise<ExitCode> {
  const difference = await (
    await context.connect()
  ).fileDifference(path, { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) });
  if (json === true) writeJson(context.output, difference);
  else if (difference.diff === null) writeLine(context.output, "Binary versions differ.");
  else for (const line of colored(context, difference.diff)) writeLine(context.output, line);
  return difference.diff === "" ? exitCodes.ok : exitCodes.failure;
}

function colored({ output, environment }: CommandContext, diff: string): string[] {
  const { green, red, cyan } = colorsFor(output, environment);
  const lines = escapeForTerminal(diff).replace(/\n$/, "").split("\n");
  return lines.map((line) => {
    if (line.startsWith("+")) return green(line);
    if (line.startsWith("-")) return red(line);
    return line.startsWith("@@") ? cyan(line) : line;
  });
}

export interface RestoreOptions extends JsonOption, MomentOptions {
  readonly dryRun?: boolean;
}

export async function restoreFiles(context: CommandContext, path: string, options: RestoreOptions): Promise<ExitCode> {
  const { at, ...moment } = momentOf(options);
  if (at === undefined && moment.version === undefined && moment.revision === undefined)
    throw new CommandError("Say which state: --version, --revision or --at.", exitCodes.usage);
  const restoration = await (
    await context.connect()
  ).restoreFiles({
    path,
    ...moment,
    ...(at === undefined ? {} : { at: at.toISOString() }),
    ...(options.dryRun === true ? { dry_run: true } : {}),
  });
  return tellRestoration(context, restoration, options);
}

export interface UndoOptions extends JsonOption {
  readonly call?: string;
  readonly dryRun?: boolean;
}

export async function undoSession(context: CommandContext, session: string, options: UndoOptions): Promise<ExitCode> {
  const restoration = await (
    await context.connect()
  ).undoFiles({
    session_id: session,
    ...(options.call === undefined ? {} : { tool_use_id: options.call }),
    ...(options.dryRun === true ? { dry_run: true } : {}),
  });
  return tellRestoration(context, restoration, options);
}

function tellRestoration(context: CommandContext, restoration: FileRestoration, { json }: JsonOption): ExitCode {
  const kept = restoration.files.filter((file) => file.outcome === "kept");
  if (json === true) writeJson(context.output, restoration);
  else {
    if (restoration.files.length === 0) writeLine(context.progress, "There is nothing to do.");
    for (const { outcome, path, reason } of restoration.files) {
      writeLine(
        context.output,
        `${outcome.replace("_", " ").padEnd(17)} ${escapeToLine(path)}${reason === null ? "" : `: ${escapeToLine(reason)}`}`,
      );
    }
    if (restoration.dry_run) writeLine(context.progress, "Nothing was changed: this was a dry run.");
    if (kept.length > 0)
      writeLine(context.progress, `${kept.length} could not be put back: others have changed them since.`);
  }
  return kept.length > 0 ? exitCodes.failure : exitCodes.ok;
}

/** For the version that is there now, or the one that was read before. */
export async function vouchForFile(
  context: CommandContext,
  path: string,
  { version, json }: JsonOption & { readonly version?: number },
): Promise<ExitCode> {
  const api = await context.connect();
  const before = await api.file(path);
  const wanted = version ?? before.version;
  if (wanted === null) throw new CommandError(`${path} is a directory: vouch for its files.`, exitCodes.usage);
  const file = await api.vouchForFile({ path, version: wanted });
  if (json === true) writeJson(context.output, file);
  else if (!before.untrusted) writeLine(context.progress, `${escapeToLine(path)} was trusted already.`);
  else writeLine(context.progress, `${escapeToLine(path)} is trusted now (v${file.version ?? wanted}).`);
  return exitCodes.ok;
}

export async function redactVersion(context: CommandContext, id: string, { json }: JsonOption): Promise<ExitCode> {
  const version = await (await context.connect()).redactVersion(id);
  if (json === true) writeJson(context.output, version);
  else
    writeLine(
      context.progress,
      `The content of ${escapeToLine(version.path)} v${version.version} is gone; its row stays.`,
    );
  return exitCodes.ok;
}

export async function listConflicts(
  context: CommandContext,
  options: JsonOption & { readonly limit: number; readonly resolved?: boolean },
): Promise<ExitCode> {
  const api = await context.connect();
  const conflicts = await api.fileConflicts({ limit: options.limit, resolved: options.resolved === true });
  if (options.json === true) writeJson(context.output, { data: conflicts });
  else if (conflicts.length === 0) writeLine(context.progress, "No text has lost a race.");
  else for (const line of conflictTable(conflicts, context)) writeLine(context.output, line);
  return exitCodes.ok;
}

function conflictTable(conflicts: readonly FileConflict[], terminal: Parameters<typeof tableLines>[2]): string[] {
  const rows = conflicts.map((conflict) => [
    conflict.id,
    conflict.created_at.replace("T", " ").slice(0, 16),
    conflict.user_id ?? conflict.session_id ?? "",
    `${conflict.base_version ?? "new"} / ${conflict.head_version ?? "deleted"}`,
    conflict.path,
  ]);
  return tableLines(["ID", "AT (UTC)", "BY", "FROM / LOST TO", "PATH"], rows, terminal);
}

export async function showConflict(
  context: CommandContext,
  id: string,
  { output }: { readonly output?: string },
): Promise<ExitCode> {
  const bytes = await (await context.connect()).conflictContent(id);
  if (output !== undefined) await writeFile(output, bytes, { flag: "wx", mode: 0o600 });
  else if (context.output.isTTY === true) context.output.write(escapeForTerminal(Buffer.from(bytes).toString("utf8")));
  else context.output.write(bytes);
  return exitCodes.ok;
}

export async function resolveConflict(
  context: CommandContext,
  id: string,
  keep: "head" | "kept",
  { json }: JsonOption,
): Promise<ExitCode> {
  const conflict = await (await context.connect()).resolveConflict(id, keep);
  if (json === true) writeJson(context.output, conflict);
  else writeLine(context.progress, `${escapeToLine(conflict.path)}: dealt with.`);
  return exitCodes.ok;
}
