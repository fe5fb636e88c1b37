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
  const done = shared.changed ? "The whole organization sees" : "The whole organization saw already";
  writeLine(context.progress, `${done} ${escapeToLine(id)}.`);
  for (const warning of shared.warnings) writeLine(context.progress, escapeToLine(warning));
  return exitCodes.ok;
}
