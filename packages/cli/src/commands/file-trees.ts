/** `exoloop files push|pull|export`. @module */
import { createWriteStream } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { FileChange } from "@exoloop/protocol/filesystem";
import type { Api } from "../api.ts";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { CommandError, exitCodes, type ExitCode } from "../exit-codes.ts";
import { writingTo } from "../new-file.ts";
import { escapeToLine } from "../render/escape.ts";
import {
  isKeptApart,
  type LocalFile,
  readState,
  readTree,
  removeLocal,
  type TreeState,
  writeLocal,
  writeState,
} from "../trees/local-tree.ts";
import { planPull, planPush, portionsOf, type StoredHead } from "../trees/plan.ts";
import { putOf } from "./files.ts";

export interface TreeOptions {
  readonly json?: boolean;
  readonly dryRun?: boolean;
  readonly delete?: boolean;
  readonly force?: boolean;
}

const mostFiles = 20_000;

/** Every file below a stored directory that a folder takes, by its path there. */
async function readStored(api: Api, path: string): Promise<Map<string, StoredHead>> {
  const found = new Map<string, StoredHead>();
  const open = [path];
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    for await (const entry of api.directory(directory)) {
      if (entry.type === "directory") open.push(entry.path);
      else if (entry.version !== null && entry.sha256 !== null) {
        const below = entry.path.slice(path.length + 1);
        if (isKeptApart(below)) continue;
        const { version, sha256, executable, size_bytes: size } = entry;
        found.set(below, { path: below, version, sha256, executable, size });
      }
      if (found.size > mostFiles) throw new CommandError(`${path} holds more than ${mostFiles} files.`);
    }
  }
  return found;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "status" in error && error.status === 404;
}

/** Without a slash at its end. */
function directoryOf(path: string): string {
  if (!path.startsWith("/"))
    throw new CommandError(`The path ${path} does not begin with a slash, as in /memory/org.`, exitCodes.usage);
  return path.replace(/(?<=.)\/+$/, "");
}

export async function pushTree(
  context: CommandContext,
  folder: string,
  target: string,
  options: TreeOptions,
): Promise<ExitCode> {
  const [root, path] = [resolve(folder), directoryOf(target)];
  if (!(await stat(root).catch(() => null))?.isDirectory())
    throw new CommandError(`${folder} is no directory.`, exitCodes.usage);
  const state = await readState(root, path);
  const local = await readTree(root, (left) =>
    writeLine(context.progress, `left   ${escapeToLine(left)}: a link or a special file`),
  );
  const api = await context.connect();
  const stored = await readStored(api, path).catch((error: unknown) => {
    if (isMissing(error)) return new Map<string, StoredHead>();
    throw error;
  });
  const plan = planPush(local, stored, state.files, options.delete === true);
  refuse(plan.conflicts, "Pull first, or push with another folder");
  const changes: FileChange[] = [
    ...plan.deletes.map(({ path: below, expected }) => ({
      type: "delete" as const,
      path: `${path}/${below}`,
      expected_version: expected,
    })),
    ...plan.puts.map(({ file, expected }) => ({
      ...putOf(`${path}/${file.path}`, file.bytes),
      executable: file.executable,
      expected_version: expected,
    })),
  ];
  tell(
    context,
    plan.deletes.map((deleted) => deleted.path),
    "delete",
  );
  tell(
    context,
    plan.puts.map(({ file }) => file.path),
    "put",
  );
  if (options.dryRun !== true) {
    const versions = await commitAll(context, api, changes);
    for (const deleted of plan.deletes) stored.delete(deleted.path);
    await writeState(root, stateAfterPush(state, local, stored, { path, versions }));
  }
  finish(context, options, { put: plan.puts.length, deleted: plan.deletes.length });
  return exitCodes.ok;
}

async function commitAll(
  context: CommandContext,
  api: Api,
  changes: readonly FileChange[],
): Promise<ReadonlyMap<string, number>> {
  const versions = new Map<string, number>();
  const portions = portionsOf(changes);
  for (const [index, portion] of portions.entries()) {
    const commit = await api.commitFiles({ changes: portion });
    for (const { path, version } of commit.files) versions.set(path, version);
    if (portions.length > 1)
      writeLine(context.progress, `commit ${index + 1} of ${portions.length}: ${portion.length} files`);
  }
  return versions;
}

function stateAfterPush(
  state: TreeState,
  local: ReadonlyMap<string, LocalFile>,
  stored: ReadonlyMap<string, StoredHead>,
  { path, versions }: { readonly path: string; readonly versions: ReadonlyMap<string, number> },
): TreeState {
  const files: Record<string, TreeState["files"][string]> = {};
  // What was deleted in the folder alone stays known: a later push may delete it in the store.
  for (const [below, known] of Object.entries(state.files))
    if (stored.has(below) && !local.has(below)) files[below] = known;
  for (const file of local.values()) {
    const version = versions.get(`${path}/${file.path}`);
    const head = stored.get(file.path);
    const known = state.files[file.path];
    if (version !== undefined) files[file.path] = { version, sha256: file.sha256 };
    else if (head?.sha256 === file.sha256) files[file.path] = { version: head.version, sha256: head.sha256 };
    else if (known !== undefined) files[file.path] = known;
  }
  return { ...state, files };
}

export async function pullTree(
  context: CommandContext,
  source: string,
  folder: string,
  options: TreeOptions,
): Promise<ExitCode> {
  const [root, path] = [resolve(folder), directoryOf(source)];
  const api = await context.connect();
  const stored = await readStored(api, path);
  await mkdir(root, { recursive: true });
  const state = await readState(root, path);
  const local = await readTree(root);
  const plan = planPull(local, stored, state.files, options.force === true);
  refuse(plan.conflicts, "Push first, or pull with --force to lose what was changed here");
  tell(context, plan.removes, "delete");
  tell(
    context,
    plan.writes.map((head) => head.path),
    "write",
  );
  if (options.dryRun !== true) {
    const files: Record<string, TreeState["files"][string]> = { ...state.files };
    for (const head of plan.writes) {
      const { bytes, version } = await api.readStoredFile(`${path}/${head.path}`, { version: head.version });
      await writeLocal(root, head.path, bytes, head.executable);
      files[head.path] = { version, sha256: head.sha256 };
    }
    for (const below of plan.removes) {
      await removeLocal(root, below);
      delete files[below];
    }
    for (const head of stored.values())
      if (local.get(head.path)?.sha256 === head.sha256)
        files[head.path] = { version: head.version, sha256: head.sha256 };
    await writeState(root, { ...state, files });
  }
  finish(context, options, { written: plan.writes.length, deleted: plan.removes.length });
  return exitCodes.ok;
}

function refuse(conflicts: readonly string[], remedy: string): void {
  if (conflicts.length === 0) return;
  const named = conflicts.slice(0, 5).join(", ");
  const more = conflicts.length > 5 ? ` and ${conflicts.length - 5} more` : "";
  throw new CommandError(
    `Changed here and there since they were last equal: ${named}${more}. Nothing was done. ${remedy}.`,
  );
}

function tell(context: CommandContext, paths: readonly string[], verb: string): void {
  for (const path of paths.slice(0, 50)) writeLine(context.progress, `${verb.padEnd(6)} ${escapeToLine(path)}`);
  if (paths.length > 50) writeLine(context.progress, `${verb.padEnd(6)} … and ${paths.length - 50} more`);
}

function finish(context: CommandContext, { json, dryRun }: TreeOptions, counts: Record<string, number>): void {
  if (json === true) writeJson(context.output, { ...counts, dry_run: dryRun === true });
  else {
    const shown = Object.entries(counts).map(([verb, count]) => `${count} ${verb}`);
    writeLine(context.progress, `${shown.join(", ")}${dryRun === true ? ": a dry run, nothing was changed" : ""}`);
  }
}

export async function exportTree(
  context: CommandContext,
  path: string,
  { output }: { readonly output?: string },
): Promise<ExitCode> {
  if (output === undefined && context.output.isTTY === true)
    throw new CommandError("A tar archive is nothing for a terminal: use --output or a pipe.", exitCodes.usage);
  const archive = await (await context.connect()).exportFiles(directoryOf(path));
  if (output !== undefined) {
    await writingTo(output, () => pipeline(Readable.from(archive), createWriteStream(output, { flags: "wx" })));
    return exitCodes.ok;
  }
  for await (const chunk of archive) context.output.write(chunk);
  return exitCodes.ok;
}
