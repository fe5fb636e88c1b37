/** `exoloop sessions snapshots`. @module */
import type { WorkspaceSnapshot } from "@exoloop/protocol/snapshots";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { exitCodes, type ExitCode } from "../exit-codes.ts";
import { tableLines } from "../render/table.ts";

export async function listSnapshots(
  context: CommandContext,
  id: string,
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const api = await context.connect();
  const snapshots: WorkspaceSnapshot[] = [];
  for await (const snapshot of api.snapshots(id)) snapshots.push(snapshot);
  if (options.json === true) writeJson(context.output, { data: snapshots });
  else if (snapshots.length === 0) writeLine(context.progress, "No snapshots: no command has changed the workspace.");
  else for (const line of snapshotTable(snapshots, context)) writeLine(context.output, line);
  return exitCodes.ok;
}

/** Exported for its test. */
export function snapshotTable(
  snapshots: readonly WorkspaceSnapshot[],
  terminal: Parameters<typeof tableLines>[2],
): string[] {
  const rows = snapshots.map((snapshot) => [
    snapshot.id,
    snapshot.created_at.replace("T", " ").slice(0, 19),
    String(snapshot.files),
    describeBytes(snapshot.bytes),
    describeBytes(snapshot.stored_bytes),
    snapshot.kept ? "yes" : "",
  ]);
  return tableLines(["ID", "CREATED", "FILES", "SIZE", "ADDED", "KEPT"], rows, terminal);
}

function describeBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = bytes === 0 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power] ?? ""}`;
}
