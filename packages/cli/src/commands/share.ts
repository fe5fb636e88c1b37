/** `exoloop sessions share`. @module */
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { exitCodes, type ExitCode } from "../exit-codes.ts";
import { escapeToLine } from "../render/escape.ts";

export async function shareSession(
  context: CommandContext,
  id: string,
  { json }: { readonly json?: boolean },
): Promise<ExitCode> {
  const shared = await (await context.connect()).shareSession(id);
  if (json === true) {
    writeJson(context.output, shared);
    return exitCodes.ok;
  }
  const already = shared.changed ? "" : " already";
  writeLine(context.progress, `The whole organization sees ${escapeToLine(id)}${already}.`);
  for (const warning of shared.warnings) writeLine(context.progress, escapeToLine(warning));
  return exitCodes.ok;
}
