/** Runs a command in the session's sandbox. @module */
import { z } from "zod";
import { defineTool, errorResult, textResult } from "./registry.ts";
import type { CommandOutcome, ToolContext, ToolResult } from "./tool.ts";

const defaultTimeoutMs = 120_000;
const longestTimeoutMs = 600_000;
/** Seconds. */
const longestLease = 21_600;

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
  run_in_background: z
    .boolean()
    .describe("Answers as soon as the command has begun; bash_output shows what it prints, kill_bash ends it.")
    .optional(),
  lease_seconds: z
    .int()
    .min(1)
    .max(longestLease)
    .describe("With run_in_background: how long it keeps the sandbox awake, 600 unless given; then it stands still.")
    .optional(),
  restart: z.boolean().describe("Accepted for compatibility: every command has a shell of its own.").optional(),
});

export const bashTool = defineTool({
  name: "bash",
  otherNames: ["Bash", "execute", "exec_command", "run_command"],
  description: [
    "Runs a command with bash in a Linux sandbox and returns what it prints, both streams in the order of arrival.",
    "Each call starts a new shell in /workspace: files stay, variables and the current directory do not.",
    "/skills (read-only) and /memory are ordinary files here; what a command changes under /memory is saved when it ends, and a <files_sync> block says so when anything was saved, merged or refused.",
    "The sandbox sleeps between calls: processes left in the background with & stand still until the next command.",
    "For a server, or a command of more than some minutes, set run_in_background: it runs on while you do other things.",
  ].join(" "),
  schema,
  aliases: { timeout: "timeout_ms", cmd: "command" },
  replay: "reattach",
  parallel: false,
  wakesSandbox: true,
  async run({ command, timeout_ms, restart, run_in_background, lease_seconds }, context) {
    if (command === undefined || command.trim() === "") {
      if (restart === true)
        return textResult("There is nothing to restart: every command runs in a new shell in /workspace.");
      return errorResult("bash: command is missing.");
    }
    if (run_in_background === true) return startInBackground(command, lease_seconds, context);
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

async function startInBackground(
  command: string,
  seconds: number | undefined,
  { background, toolUseId, resumed }: ToolContext,
): Promise<ToolResult> {
  const started = await background.start({
    commandId: toolUseId,
    command,
    ...(seconds === undefined ? {} : { seconds }),
    reattach: resumed,
  });
  const text =
    started.type === "started"
      ? [
          `Running in the background as ${toolUseId}.`,
          `bash_output with this bash_id shows what it has printed, kill_bash ends it.`,
          `It keeps the sandbox awake until ${started.until.toISOString()} at most; then it stands still.`,
        ].join(" ")
      : `[interrupted: ${started.reason}; its outcome is unknown]`;
  const failed = started.type === "unknown";
  return { ...textResult([...started.notices, text].join("\n"), failed), sandboxAwakeMs: started.awakeMs };
}

/** Notices first: what they say must not be lost when the output is shortened. */
export function describeOutcome({ output, exit, notices }: Omit<CommandOutcome, "awakeMs">, timeoutMs: number): string {
  const end = describeExit(exit, timeoutMs);
  const parts = [...notices, output.replace(/\n$/, ""), end].filter((part) => part !== "");
  return parts.length === 0 ? "[no output]" : parts.join("\n");
}

/** Empty for a success. */
export function describeExit(exit: CommandOutcome["exit"], timeoutMs: number): string {
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
