/**
 * The demonstration's agent: repairs a failing test of a small Node project. It knows one way to work and one kind of
 * mistake (an amount cut off that should be rounded), but nothing of what it will find: each step follows from what the
 * tools have answered, and where an answer does not fit it says so and stops.
 * @module
 */
import type { Brain, Conversation, Step } from "../script.ts";
import { findLocation, findRepair, functionName, type Repair } from "./mistake.ts";
import { readTestReport, type TestReport } from "./test-report.ts";
import { argument, nameArguments, readToolHistory, type ToolOutcome } from "./tool-history.ts";

const skillPath = "/skills/repair/SKILL.md";
const inspectCommand = "git log --oneline -n 5 && git status --short && node --test";
const checkCommand = "sh ./check.sh";
const surviveCommand = "git status --short && git diff --stat && git log --oneline -n 1";
const commitSubject = "Round the result of";
const mostCalls = 40;

/** What the answers so far say. Later answers overrule earlier ones. */
interface Findings {
  skill: "unread" | "read" | "missing";
  before: TestReport | null;
  location: string | null;
  source: string | null;
  repair: Repair | null;
  edited: boolean;
  after: TestReport | null;
  commit: string | null;
  note: NoteState;
  /** How often the sandbox was replaced. */
  replaced: number;
  /** A command's outcome is unknown: look at the workspace before anything else. */
  uncertain: boolean;
  /** What cannot be worked around. */
  problem: string | null;
}

/** A note that exists can be written only by who has read it: `refused` is the answer to who has not. */
type NoteState =
  | { readonly type: "none" | "read" | "written" | "seen" }
  | { readonly type: "refused"; readonly reason: string };

export const repairBrain: Brain = (conversation) => {
  const history = readToolHistory(conversation);
  const findings = history.reduce(learn, nothingFound());
  if (history.length >= mostCalls) return say(`I stop: ${mostCalls} calls and no end in sight.`);
  return { delayMs: 350, chunkDelayMs: 12, ...nextStep(conversation, findings) };
};

function nextStep(conversation: Conversation, found: Findings): Step {
  const { before, location, repair } = found;
  if (found.problem !== null) return say(found.problem);
  if (found.skill === "unread") {
    const input = nameArguments(conversation, "read", [[["file_path", "path"], skillPath]]);
    return call("read", input, "I read the skill for repairs first.");
  }
  if (found.uncertain) {
    const text =
      "The sandbox was lost while my command ran, and nobody knows how far it came. I look at what survived.";
    return bash(surviveCommand, text);
  }
  if (before === null) return bash(inspectCommand, "Now the history, the state of the work tree, and the tests.");
  const name = functionName(before);
  if (before.failed === 0) return say(`All ${before.passed} tests pass: there is nothing to repair.`);
  if (name === null) return say("A test fails, but its name does not say which function it is about. I stop here.");
  if (location === null) {
    const input = nameArguments(conversation, "grep", [
      [["pattern"], `function ${name}`],
      [["path"], "/workspace"],
    ]);
    return call(
      "grep",
      input,
      `${before.failed} of ${before.passed + before.failed} tests failed: “${before.failures[0]}”. Where is ${name}?`,
    );
  }
  if (found.source === null) {
    return call(
      "read",
      nameArguments(conversation, "read", [[["file_path", "path"], location]]),
      `It is in ${location}.`,
    );
  }
  if (repair === null) return say(`I have read ${location} and do not see what is wrong with ${name}. I stop here.`);
  if (!found.edited) {
    const input = nameArguments(conversation, "edit", [
      [["file_path", "path"], location],
      [["old_string", "old_str"], repair.oldText],
      [["new_string", "new_str"], repair.newText],
    ]);
    return call(
      "edit",
      input,
      `${describeDifference(before)} ${name} cuts the fraction of a cent off; it has to round.`,
    );
  }
  return finishingStep(conversation, found, before, name);
}

/** The edit is made: check, commit, note, summary. */
function finishingStep(conversation: Conversation, found: Findings, before: TestReport, name: string): Step {
  const { after } = found;
  if (after === null) {
    const again =
      found.replaced > 0 ? "The edit survived. I run the whole check again." : "Now the project's own check.";
    return bash(checkCommand, again);
  }
  if (after.failed > 0)
    return say(
      `After the edit tests still fail, ${after.failed} of ${after.passed + after.failed}. I leave it uncommitted for a person.`,
    );
  if (found.commit === null) return bash(commitCommand(name), `All ${after.passed} tests pass. I commit the repair.`);
  const notePath = `/memory/org/repair-${name}.md`;
  if (found.note.type === "seen") return say(summary(found, before, after, name, notePath));
  if (found.note.type === "written") {
    return bash(`cat "$MEMORY/org/repair-${name}.md"`, "Commands see the same file:");
  }
  if (found.note.type === "refused") {
    const input = nameArguments(conversation, "read", [[["file_path", "path"], notePath]]);
    return call("read", input, "Somebody has left a note there already: I read it before I change it.");
  }
  const input = nameArguments(conversation, "write", [
    [["file_path", "path"], notePath],
    [["content"], noteText(found, name)],
  ]);
  const text =
    found.note.type === "read"
      ? "It is about the same mistake. I bring it up to date."
      : "Others here should know: I leave a note in the organization's memory.";
  return call("write", input, text);
}

function learn(found: Findings, outcome: ToolOutcome): Findings {
  switch (outcome.toolName) {
    case "bash":
      return learnFromCommand(found, outcome);
    case "read":
      if (argument(outcome, "file_path", "path") === skillPath)
        return { ...found, skill: outcome.isError ? "missing" : "read" };
      if (found.note.type === "refused")
        return outcome.isError
          ? { ...found, problem: `I could not write the note: ${found.note.reason}` }
          : { ...found, note: { type: "read" } };
      if (outcome.isError) return { ...found, problem: `I could not read the file: ${quote(outcome.text)}` };
      return {
        ...found,
        source: outcome.text,
        repair: found.before === null ? null : findRepair(found.before, outcome.text),
      };
    case "grep": {
      const location = outcome.isError ? null : findLocation(outcome.text);
      return location === null
        ? { ...found, problem: `I did not find the function: ${quote(outcome.text)}` }
        : { ...found, location };
    }
    case "edit":
      return outcome.isError
        ? { ...found, problem: `The edit failed: ${quote(outcome.text)}` }
        : { ...found, edited: true };
    case "write":
      if (!outcome.isError) return { ...found, note: { type: "written" } };
      return found.note.type === "none"
        ? { ...found, note: { type: "refused", reason: quote(outcome.text) } }
        : { ...found, problem: `I could not write the note: ${quote(outcome.text)}` };
    default:
      return found;
  }
}

function learnFromCommand(found: Findings, outcome: ToolOutcome): Findings {
  const command = argument(outcome, "command");
  const replaced = found.replaced + (outcome.text.includes("<sandbox_replaced>") ? 1 : 0);
  const uncertain = isUncertain(outcome);
  const next = { ...found, replaced, uncertain };
  if (command === surviveCommand) return learnWhatSurvived(next, outcome);
  if (uncertain) return next;
  if (command === inspectCommand || command === checkCommand) {
    const report = readTestReport(outcome.text);
    if (report === null) return { ...next, problem: `The tests did not run: ${quote(outcome.text)}` };
    return command === checkCommand ? { ...next, after: report } : { ...next, before: report };
  }
  if (command.startsWith("cat ")) return { ...next, note: { type: "seen" } };
  const commit = findCommit(outcome.text);
  return commit === null ? { ...next, problem: `The commit failed: ${quote(outcome.text)}` } : { ...next, commit };
}

/** The look at the workspace may itself come from a new sandbox, and still tells what is there. */
function learnWhatSurvived(found: Findings, { text }: ToolOutcome): Findings {
  const uncertain = /interrupted|outcome (?:is )?unknown/i.test(text);
  const commit = findCommit(text);
  if (uncertain || !found.edited || commit !== null) return { ...found, uncertain, commit };
  const file = found.location?.split("/").at(-1) ?? "";
  const survived = file !== "" && withoutNotices(text).includes(file);
  return survived
    ? { ...found, uncertain }
    : { ...found, uncertain, edited: false, source: null, repair: null, after: null };
}

/** The commit of ours among lines of `git log --oneline`. */
function findCommit(text: string): string | null {
  const lines = [...text.matchAll(/^([0-9a-f]{7,40}) (.*)$/gm)];
  return lines.find((line) => line[2]?.startsWith(commitSubject))?.[1] ?? null;
}

function isUncertain({ text }: ToolOutcome): boolean {
  return text.includes("<sandbox_replaced>") || /interrupted|outcome (?:is )?unknown/i.test(text.slice(0, 500));
}

function withoutNotices(text: string): string {
  return text.replaceAll(/<sandbox_replaced>[\s\S]*?<\/sandbox_replaced>/g, "");
}

/** Safe to run again: where the commit exists already it only shows it. */
function commitCommand(name: string): string {
  const identity = "-c user.name='Repair agent' -c user.email=agent@example.invalid";
  const commit = `git ${identity} commit --quiet -m '${commitSubject} ${name} to whole cents'`;
  return `git add -A && { git diff --cached --quiet || ${commit}; } && git log --oneline -n 1`;
}

function describeDifference({ difference }: TestReport): string {
  return difference === null
    ? ""
    : `The test got ${difference.actual} and wanted ${difference.expected}: one cent short.`;
}

function noteText({ location, repair, commit }: Findings, name: string): string {
  return [
    `# Repaired: ${name}`,
    "",
    `- Where: ${location}, commit ${commit}`,
    `- Mistake: \`${repair?.oldText.trim()}\` cut off the fraction of a cent.`,
    `- Repair: \`${repair?.newText.trim()}\``,
    "- Rule: amounts are whole cents; round once, at the end, with Math.round.",
    "",
  ].join("\n");
}

function summary(found: Findings, before: TestReport, after: TestReport, name: string, notePath: string): string {
  const times = found.replaced === 1 ? "once" : `${found.replaced} times`;
  return [
    `Done. Before: ${before.failed} of ${before.passed + before.failed} tests failed. After: all ${after.passed} pass.`,
    `${name} in ${found.location} rounds now instead of cutting off; that is commit ${found.commit}.`,
    ...(found.replaced > 0 ? [`The sandbox was replaced ${times} on the way; the work survived.`] : []),
    `The note for the others is in ${notePath}.`,
  ].join(" ");
}

function quote(text: string): string {
  const line = withoutNotices(text).trim().split("\n").at(-1) ?? "";
  if (line === "") return "the tool said nothing.";
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

function bash(command: string, text: string): Step {
  return call("bash", { command }, text);
}

function call(name: string, input: Record<string, string>, text: string): Step {
  return { text, toolCalls: [{ name, input }] };
}

function say(text: string): Step {
  return { text };
}

function nothingFound(): Findings {
  return {
    skill: "unread",
    before: null,
    location: null,
    source: null,
    repair: null,
    edited: false,
    after: null,
    commit: null,
    note: { type: "none" },
    replaced: 0,
    uncertain: false,
    problem: null,
  };
}
