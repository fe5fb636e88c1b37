/** Runs a command in the session's sandbox. @module */
import { z } from "zod";
import { defineTool, errorResult, textResult } from "./registry.ts";
import type { CommandOutcome } from "./tool.ts";

const defaultTimeoutMs = 120_000;
const longestTimeoutMs = 600_000;

const schema = z.strictObject({
  command: z.string().max(200_000).describe("What to run, in the language of bash.").optional(),
  timeout_ms: z
    .int()
    .min(1)
    .max(longestTimeoutMs)
    .describe(`Milliseconds until the command is killed; ${defaultTimeoutMs} unless given.`)
    .optional(),
  description: z
    .string()
    .max(1_000)
    .describe("What the command does, in a few words, for people who watch.")
    .optional(),
  restart: z.boolean().describe("Accepted for compatibility: every command has a shell of its own.").optional(),
});

export const bashTool = defineTool({
  name: "bash",
  description: [
    "Runs a command with bash in a Linux sandbox and returns what it prints, both streams in the order of arrival.",
    "Each call starts a new shell in /workspace: files stay, variables and the current directory do not.",
    "/skills (read-only) and /memory/org (shared by the organization) are ordinary files here; what a command changes under /memory/org is saved when it ends, and a <files_sync> block says so when anything was saved, merged or refused.",
    "The sandbox sleeps between calls: processes left in the background are stopped until the next command.",
  ].join(" "),
  schema,
  aliases: { timeout: "timeout_ms", cmd: "command" },
  replay: "reattach",
  parallel: false,
  wakesSandbox: true,
  async run({ command, timeout_ms, restart }, context) {
    if (command === undefined || command.trim() === "") {
      if (restart === true)
        return textResult("There is nothing to restart: every command runs in a new shell in /workspace.");
      return errorResult("bash: command is missing.");
    }
    const timeoutMs = timeout_ms ?? defaultTimeoutMs;
    const outcome = await context.commands.run({
      commandId: context.toolUseId,
      command,
      timeoutMs,
      abortSignal: context.abortSignal,
      reattach: context.resumed,
    });
    const failed = outcome.exit.type !== "exited" || outcome.exit.code !== 0;
    return { ...textResult(describeOutcome(outcome, timeoutMs), failed), sandboxAwakeMs: outcome.awakeMs };
  },
});

/** Notices first: what they say must not be lost when the output is shortened. */
export function describeOutcome({ output, exit, notices }: Omit<CommandOutcome, "awakeMs">, timeoutMs: number): string {
  const end = describeExit(exit, timeoutMs);
  const parts = [...notices, output.replace(/\n$/, ""), end].filter((part) => part !== "");
  return parts.length === 0 ? "[no output]" : parts.join("\n");
}

function describeExit(exit: CommandOutcome["exit"], timeoutMs: number): string {
  switch (exit.type) {
    case "exited":
      return exit.code === 0 ? "" : `[exit ${exit.code}]`;
    case "signalled":
      return `[killed by signal ${exit.signal}]`;
    case "timed_out":
      return `[timed out after ${timeoutMs} ms]`;
    case "interrupted":
      return "[interrupted: the user stopped this command]";
    case "unknown":
      return `[interrupted: ${exit.reason}; its outcome is unknown]`;
  }
}
