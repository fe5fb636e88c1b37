/** Events as people read them. Pure; everything in the result is escaped. @module */
import { describeReached } from "./budget.ts";
import { escapeForTerminal, escapeToLine } from "./escape.ts";
import { isFields, readString } from "./transcript-fields.ts";

export { isFields, readString } from "./transcript-fields.ts";

/** A durable event or a preview frame, as the stream carries it. */
export type StreamedEvent = Readonly<Record<string, unknown>> & { readonly type: string };

export type EntryKind = "user" | "agent" | "thinking" | "call" | "result" | "failure" | "notice" | "approval";

export interface TranscriptEntry {
  readonly kind: EntryKind;
  /** One or more lines, escaped. */
  readonly text: string;
}

/** Text of content blocks; other blocks are named in brackets. Not escaped. */
function contentText(content: unknown): string {
  if (!Array.isArray(content)) return "";
  return content
    .filter(isFields)
    .map((block) => (block["type"] === "text" ? readString(block, "text") : `[${readString(block, "type")}]`))
    .join("\n");
}

/** The argument that says most about a call, for one line. */
const tellingArguments = ["command", "file_path", "path", "pattern"];

/** @example describeCall("bash", { command: "ls" }) // "bash  ls" */
export function describeCall(name: string, input: unknown): string {
  const fields = isFields(input) ? input : {};
  const telling = tellingArguments.filter((argument) => typeof fields[argument] === "string");
  const shown =
    telling.length > 0 ? telling.map((argument) => readString(fields, argument)).join(" ") : JSON.stringify(fields);
  return `${escapeToLine(name)}  ${escapeToLine(shown.slice(0, 400))}`;
}

/** The first lines of a result, and how many more there are. */
export function shortenResult(text: string, maximumLines: number): string {
  const lines = escapeForTerminal(text.slice(0, 200_000)).trimEnd().split("\n");
  if (lines.length <= maximumLines) return lines.join("\n");
  return [...lines.slice(0, maximumLines - 1), `… ${lines.length - maximumLines + 1} more lines`].join("\n");
}

const maximumResultLines = 8;

function describeAnswer(event: StreamedEvent): string {
  if (event["result"] === "allow") return "allowed by the user";
  return event["x_exoloop"] === undefined ? "denied by the user" : "nobody answered in time";
}

/** Null for events that a reader of the conversation does not need. */
export function describeEvent(event: StreamedEvent): TranscriptEntry | null {
  switch (event.type) {
    case "user.message":
      return { kind: "user", text: describeMessage(event) };
    case "user.interrupt":
      return { kind: "notice", text: "interrupted by the user" };
    case "user.tool_confirmation":
      return { kind: "notice", text: describeAnswer(event) };
    case "agent.message":
      return { kind: "agent", text: escapeForTerminal(contentText(event["content"])) };
    case "agent.thinking":
      return { kind: "thinking", text: "thinking" };
    case "agent.tool_use":
    case "agent.mcp_tool_use":
    case "agent.custom_tool_use":
      return describeToolUse(event);
    case "agent.tool_result":
    case "agent.mcp_tool_result":
    case "user.custom_tool_result":
    case "user.tool_result":
      return {
        kind: event["is_error"] === true ? "failure" : "result",
        text: shortenResult(contentText(event["content"]), maximumResultLines),
      };
    case "agent.thread_message_sent":
      return {
        kind: "call",
        text: `gives work to ${escapeToLine(readString(event, "to_agent_name"))}${taskOf(event)}`,
      };
    case "agent.thread_message_received":
      return {
        kind: "result",
        text: `${escapeToLine(readString(event, "from_agent_name"))}: ${shortenResult(contentText(event["content"]), maximumResultLines)}`,
      };
    case "session.thread_status_idle":
      return describeThreadStop(event);
    case "session.thread_status_terminated":
      return { kind: "notice", text: `${escapeToLine(readString(event, "agent_name"))} was stopped for good` };
    case "user.define_outcome":
      return { kind: "user", text: `outcome: ${escapeForTerminal(readString(event, "description"))}` };
    case "span.outcome_evaluation_end":
      return describeEvaluation(event);
    case "agent.thread_context_compacted":
      return { kind: "notice", text: "the conversation was compacted" };
    case "session.error":
      return { kind: "failure", text: describeError(event["error"]) };
    case "session.status_idle":
      return describeStop(event);
    case "session.status_terminated":
      return { kind: "notice", text: "the session has ended" };
    case "session.deleted":
      return { kind: "notice", text: "the session was deleted" };
    default:
      return null;
  }
}

function describeEvaluation(event: StreamedEvent): TranscriptEntry {
  const words: Readonly<Record<string, string>> = {
    satisfied: "the outcome is reached",
    needs_revision: "the outcome is not reached yet",
    max_iterations_reached: "the outcome is not reached, and was revised often enough",
    failed: "the rubric does not apply to this work",
    interrupted: "the evaluation was interrupted",
  };
  const result = words[readString(event, "result")] ?? "the outcome was evaluated";
  return { kind: "notice", text: `${result}: ${escapeToLine(readString(event, "explanation"))}` };
}

/** One that waits for the end of what runs says so. */
function describeMessage(event: StreamedEvent): string {
  const text = escapeForTerminal(contentText(event["content"]));
  const extension = event["x_exoloop"];
  return isFields(extension) && extension["delivery"] === "queue" ? `(queued) ${text}` : text;
}

const maximumTaskLines = 4;

function taskOf(event: StreamedEvent): string {
  const task = shortenResult(contentText(event["content"]), maximumTaskLines);
  return task === "" ? "" : `\n${task}`;
}

/** What a thread waits for is shown as a call of its own; what it achieved, as its message. */
function describeThreadStop(event: StreamedEvent): TranscriptEntry | null {
  const reason = event["stop_reason"];
  const waits = isFields(reason) && reason["type"] === "requires_action";
  return waits ? null : describeStop(event);
}

function describeToolUse(event: StreamedEvent): TranscriptEntry {
  const call = describeCall(readString(event, "name"), event["input"]);
  if (event["evaluated_permission"] !== "ask") return { kind: "call", text: call };
  const { x_exoloop: extension } = event;
  const review = isFields(extension) ? readString(extension, "review") : "";
  const shown = review === "" ? "" : `\n${escapeForTerminal(review)}`;
  return {
    kind: "approval",
    text: `${call}${shown}\nwaits for approval: ${escapeToLine(readString(event, "id"))}`,
  };
}

function describeError(error: unknown): string {
  const fields = isFields(error) ? error : {};
  const retry =
    isFields(fields["retry_status"]) && fields["retry_status"]["type"] === "retrying" ? " Trying again." : "";
  return escapeToLine(readString(fields, "message") || "The session met an unknown error.") + retry;
}

function describeStop(event: StreamedEvent): TranscriptEntry | null {
  const { stop_reason: reason, x_exoloop: extension } = event;
  const type = isFields(reason) ? readString(reason, "type") : "";
  switch (type) {
    case "end_turn":
    case "":
      return null;
    case "requires_action":
      return { kind: "notice", text: "waiting for approval" };
    case "retries_exhausted":
      return { kind: "failure", text: "the model gave no answer: this turn has ended" };
    case "budget_reached":
      return { kind: "failure", text: describeReached(isFields(extension) ? extension["budget_reached"] : null) };
    case "refusal":
      return { kind: "failure", text: "the model refused to go on" };
    default:
      return { kind: "notice", text: `stopped: ${escapeToLine(type)}` };
  }
}
