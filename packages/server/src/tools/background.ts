/** Tools for commands in the background: what they print, and their end. None of them wakes the sandbox. @module */
import { z } from "zod";
import { compileSearchPattern } from "../files/search-pattern.ts";
import { describeExit } from "./bash.ts";
import { defineTool, errorResult, textResult } from "./registry.ts";
import type { BackgroundOutput, BackgroundSummary } from "./tool.ts";

const bashId = z.string().min(1).max(128);

const outputSchema = z.strictObject({
  bash_id: bashId.describe("As bash told it. Without it, the commands in the background are listed.").optional(),
  offset: z
    .int()
    .min(0)
    .describe("The byte to begin with, instead of what is new since the last call without an offset.")
    .optional(),
  filter: z
    .string()
    .max(1_000)
    .describe("A regular expression in RE2 syntax: only lines that match are shown; the others are not shown later.")
    .optional(),
});

const otherIds = { shell_id: "bash_id", task_id: "bash_id", command_id: "bash_id" };

export const bashOutputTool = defineTool({
  name: "bash_output",
  otherNames: ["BashOutput"],
  description: [
    "Shows what a command that bash started with run_in_background has printed since the last call, and whether it still runs.",
    "Does not wait. Long output is shown from its end: offset reads what was left out.",
  ].join(" "),
  schema: outputSchema,
  aliases: otherIds,
  // Claude Code's own parameters: nothing here waits.
  ignored: ["block", "timeout", "wait_up_to"],
  replay: "safe",
  parallel: true,
  async run({ bash_id: commandId, offset, filter }, { background, toolUseId }) {
    if (commandId === undefined) return textResult(describeList(await background.list()));
    const pattern = filter === undefined ? null : compileSearchPattern(filter, { ignoreCase: false, multiline: false });
    const request = { readingId: toolUseId, commandId, ...(offset === undefined ? {} : { offset }) };
    const output = await background.read(request);
    if (output === null) return errorResult(unknownCommand("bash_output", commandId));
    return textResult(describeOutput(output, pattern === null ? null : (line) => pattern.matches(line)));
  },
});

export const killBashTool = defineTool({
  name: "kill_bash",
  otherNames: ["KillBash", "KillShell"],
  description: "Ends a command that bash started with run_in_background, with everything that it has started.",
  schema: z.strictObject({ bash_id: bashId.describe("As bash told it.") }),
  aliases: otherIds,
  // A second time there is nothing left to kill.
  replay: "safe",
  parallel: false,
  async run({ bash_id: commandId }, { background }) {
    const killed = await background.kill(commandId);
    if (killed === null) return errorResult(unknownCommand("kill_bash", commandId));
    return textResult(killed ? `Killed ${commandId}.` : `${commandId} has ended already.`);
  },
});

function unknownCommand(tool: string, commandId: string): string {
  return `${tool}: no command of this session runs in the background as ${JSON.stringify(commandId)}. Without bash_id, bash_output lists them.`;
}

const longestShownCommand = 200;

function describeList(commands: readonly BackgroundSummary[]): string {
  if (commands.length === 0) return "No command has been started in the background.";
  return commands
    .map((one) => {
      const command = one.command.replaceAll(/\s+/g, " ").slice(0, longestShownCommand);
      return `${one.commandId}: ${describeState(one)}, ${one.outputBytes} bytes of output: ${command}`;
    })
    .join("\n");
}

/** The state first: whatever the command prints comes after it, and cannot stand in for it. */
function describeOutput(output: BackgroundOutput, matches: ((line: string) => boolean) | null): string {
  const { text, offset, nextOffset, outputBytes, readFrom } = output;
  const missing = offset - readFrom;
  const lines = [
    `[${describeState(output)}; bytes ${offset} to ${nextOffset} of ${outputBytes}]`,
    ...(missing > 0 ? [`[${missing} bytes before these are left out: offset ${readFrom} begins with them]`] : []),
  ];
  const shown = text.replace(/\n$/, "");
  if (shown === "") return [...lines, "[no new output]"].join("\n");
  if (matches === null) return [...lines, shown].join("\n");
  const all = shown.split("\n");
  const found = all.filter(matches);
  return [...lines, `[${found.length} of ${all.length} lines match]`, ...found].join("\n");
}

function describeState({ state, until, exit }: BackgroundSummary): string {
  switch (state) {
    case "running":
      return `running, until ${until.toISOString()} at most`;
    case "suspended":
      return "standing still, because its time was up: it goes on while other commands run";
    case "lost":
      return "lost with its sandbox";
    case "ended":
      if (exit === null) return "ended";
      if (exit.type === "exited") return `ended with exit code ${exit.code}`;
      return `ended: ${describeExit(exit, 0).replaceAll(/^\[|\]$/g, "")}`;
  }
}
