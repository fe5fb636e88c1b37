/** `exoloop sessions attach`: follow a session live and talk to it. Ctrl-C leaves it running. @module */
import type { SendableEvent } from "@exoloop/protocol/events";
import { type Api, queuedMessage, userMessage } from "../api.ts";
import { type CommandContext, writeLine } from "../context.ts";
import { describeFailure, exitCodes, type ExitCode } from "../exit-codes.ts";
import { escapeForTerminal, escapeToLine } from "../render/escape.ts";
import { widthOf } from "../render/terminal.ts";
import { createSink, describeEnding, type EventSink, exitCodeOf, followSession } from "./follow.ts";
import { openPrompt } from "./prompt.ts";

export async function attachSession(
  context: CommandContext,
  id: string,
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const api = await context.connect();
  const session = await api.session(id);
  const sink = createSink(context, options.json === true);
  const detach = new AbortController();
  const typing = options.json === true ? null : openTyping(context, api, session.id, sink, detach);
  try {
    const exitCode = await followSession(context, api, session.id, sink, endOfSession, detach);
    const ending = describeEnding(session.id, exitCode);
    if (ending !== null) writeLine(context.progress, ending);
    return exitCode;
  } finally {
    typing?.close();
  }
}

/** Attached, one waits through every idle; only the session's own end is the end. */
function endOfSession(event: Parameters<EventSink["show"]>[0]): ExitCode | null {
  return event.type === "session.status_idle" || exitCodeOf(event) === null ? null : exitCodes.ok;
}

export type TypedLine =
  | { readonly type: "events"; readonly events: readonly SendableEvent[] }
  | { readonly type: "detach" }
  | { readonly type: "nothing" }
  | { readonly type: "remark"; readonly text: string };

const help =
  "/queue TEXT waits for the end of what runs · /stop interrupts · /allow ID · /deny ID [reason] · /detach · // begins a message with a slash";

/** What a typed line means. Pure. */
export function readTypedLine(line: string): TypedLine {
  const text = line.trim();
  if (text === "") return { type: "nothing" };
  if (text.startsWith("//")) return { type: "events", events: [userMessage(text.slice(1))] };
  if (!text.startsWith("/")) return { type: "events", events: [userMessage(text)] };
  const [command = "", id = "", ...rest] = text.split(/\s+/);
  switch (command) {
    case "/queue":
      return id === ""
        ? { type: "remark", text: "/queue needs a message." }
        : { type: "events", events: [queuedMessage(text.slice(command.length).trim())] };
    case "/stop":
      return { type: "events", events: [{ type: "user.interrupt" }] };
    case "/detach":
      return { type: "detach" };
    case "/help":
      return { type: "remark", text: help };
    case "/allow":
    case "/deny":
      return id === ""
        ? { type: "remark", text: `${command} needs the id of the waiting call.` }
        : confirm(command, id, rest);
    default:
      return { type: "remark", text: `Unknown command ${escapeToLine(command)}. ${help}` };
  }
}

function confirm(command: "/allow" | "/deny", id: string, words: readonly string[]): TypedLine {
  const result = command === "/allow" ? "allow" : "deny";
  const reason = result === "deny" && words.length > 0 ? { deny_message: words.join(" ") } : {};
  return {
    type: "events",
    events: [{ type: "user.tool_confirmation", tool_use_id: id, result, ...reason }],
  };
}

function openTyping(
  context: CommandContext,
  api: Api,
  sessionId: string,
  sink: EventSink,
  detach: AbortController,
): { close(): void } | null {
  const { narrator } = sink;
  if (context.keyboard === null || narrator === null) return null;
  const obey = (typed: TypedLine) => {
    if (typed.type === "detach") detach.abort();
    if (typed.type === "remark") narrator.note(typed.text);
    if (typed.type !== "events") return;
    api.send(sessionId, typed.events).catch((error: unknown) => {
      narrator.note(`not sent: ${describeFailure(error).message}`);
    });
  };
  writeLine(context.progress, "Enter sends, Esc interrupts, Ctrl-C detaches; /help lists commands.");
  return openPrompt(context.keyboard, {
    onLine: (line) => obey(readTypedLine(line)),
    onEscape: () => obey({ type: "events", events: [{ type: "user.interrupt" }] }),
    onInterrupt: () => detach.abort(),
    onChange: (text) => narrator.setFooter([[{ text: showTyped(text, widthOf(context.output)) }]]),
  });
}

/** The end of a long line stays in sight. */
export function showTyped(text: string, columns: number): string {
  const characters = Array.from(escapeForTerminal(text));
  const room = columns - 4;
  const start = Math.max(0, characters.length - room);
  return `${start > 0 ? "…" : "›"} ${characters.slice(start).join("")}`;
}
