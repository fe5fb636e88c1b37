/**
 * Tells a session live: the transcript, streamed as the model writes it, and the sandbox lane beside it where the
 * terminal is wide enough, else as lines between.
 * @module
 */
import { escapeForTerminal, escapeToLine } from "./escape.ts";
import { createColumns } from "./columns.ts";
import { initialLane, laneGlyphs, type LaneTone, readSandboxFrame, stepLane } from "./lane.ts";
import { wrapText } from "./measure.ts";
import { createScreen, type Line, type Screen } from "./screen.ts";
import { colorsFor, type Colors, type Terminal, type TerminalStream } from "./terminal.ts";
import {
  describeEvent,
  type EntryKind,
  isFields,
  readString,
  type StreamedEvent,
  type TranscriptEntry,
} from "./transcript.ts";

export interface Narrator {
  /** A durable event or a preview frame. Events of unknown type are left out. */
  tell(event: StreamedEvent): void;
  /** A remark of the command itself in the transcript. `text` is ours or escaped. */
  note(text: string): void;
  /** A remark of the command itself in the lane. `text` is ours or escaped. */
  remark(text: string, tone: "plain" | "alarm"): void;
  setFooter(lines: readonly Line[]): void;
  close(): void;
}

/** Terminals at least this wide show two columns. */
const twoColumnWidth = 100;

interface Surface {
  readonly leftWidth: number;
  left(text: string, style: (text: string) => string): void;
  preview(text: string): void;
  right(text: string, tone: LaneTone | "alarm"): void;
  setTone(tone: LaneTone): void;
  setFooter(lines: readonly Line[]): void;
  close(): void;
}

export interface NarratorOptions {
  readonly terminal: Terminal;
  /** Where the transcript goes: `terminal.output` unless standard output is kept for JSON. */
  readonly stream?: TerminalStream;
}

export function createNarrator(options: NarratorOptions): Narrator {
  const { terminal } = options;
  const stream = options.stream ?? terminal.output;
  const colors = colorsFor(stream, terminal.environment);
  const screen = createScreen(stream);
  const wide = stream.isTTY === true && screen.width >= twoColumnWidth;
  const surface = wide ? createTwoColumns(screen, colors) : createOneColumn(screen, colors, stream, terminal.progress);
  return narrate(surface, colors);
}

function narrate(surface: Surface, colors: Colors): Narrator {
  let lane = initialLane;
  const streaming = createStreaming(surface);
  const threads = new Map<string, string>();
  return {
    tell(event) {
      const frame = readSandboxFrame(event);
      if (frame !== null) {
        const step = stepLane(lane, frame);
        lane = step.state;
        surface.setTone(lane.tone);
        if (step.label !== null) surface.right(step.label, lane.tone);
        return;
      }
      const threadId = readString(event, "session_thread_id");
      if (event.type === "session.thread_created") threads.set(threadId, readString(event, "agent_name"));
      // A thread's own events stand between those of its session, which may be in the middle of a message.
      const thread = threads.get(threadId);
      if (thread === undefined && streaming.take(event)) return;
      const entry = describeEvent(event);
      if (entry === null) return;
      const text = thread === undefined ? entry.text : `[${escapeToLine(thread)}] ${entry.text}`;
      writeEntry(surface, colors, { ...entry, text });
    },
    note: (text) => writeEntry(surface, colors, { kind: "notice", text }),
    remark: (text, tone) => surface.right(text, tone === "alarm" ? "alarm" : lane.tone),
    setFooter: (lines) => surface.setFooter(lines),
    close: () => surface.close(),
  };
}

/** Text of a message while it streams. Whole lines are written, the unfinished one is shown as changing. */
function createStreaming(surface: Surface) {
  let open: { readonly id: string; text: string; written: number } | null = null;
  // Previews and stored events come by different ways: those of the last message may come after it.
  let lastSettled = "";
  const flow = (final: boolean) => {
    if (open === null) return;
    const lines = wrapText(escapeForTerminal(open.text), surface.leftWidth - markWidth);
    const finished = final ? lines.length : lines.length - 1;
    for (let index = open.written; index < finished; index += 1)
      writeLine(surface, "agent", lines[index] ?? "", index === 0);
    open.written = Math.max(open.written, finished);
    if (!final) surface.preview(`  ${lines.at(-1) ?? ""}`);
  };
  return {
    /** True when the event was part of a streamed message and has been shown. */
    take(event: StreamedEvent): boolean {
      if (event.type === "event_start") {
        const started = isFields(event["event"]) ? event["event"] : {};
        const id = readString(started, "id");
        if (readString(started, "type") === "agent.message" && id !== lastSettled) open = { id, text: "", written: 0 };
        return true;
      }
      if (event.type === "event_delta") {
        if (open === null || event["event_id"] !== open.id) return true;
        const delta = isFields(event["delta"]) ? event["delta"] : {};
        open.text += isFields(delta["content"]) ? readString(delta["content"], "text") : "";
        flow(false);
        return true;
      }
      if (event.type === "agent.message") lastSettled = readString(event, "id");
      if (open === null) return false;
      const settled = event.type === "agent.message" && event["id"] === open.id;
      if (!settled && event.type !== "span.model_request_end") return false;
      const whole = describeEvent(event)?.text ?? "";
      const shown = escapeForTerminal(open.text);
      // A client that joined late has only the message's tail: the whole message replaces it.
      const complete = settled && shown !== "" && shown === whole;
      if (complete) flow(true);
      else surface.preview("");
      open = null;
      return complete;
    },
  };
}

const marks: Readonly<Record<EntryKind, string>> = {
  user: "> ",
  agent: "● ",
  thinking: "· ",
  call: "▸ ",
  result: "  ",
  failure: "! ",
  notice: "- ",
  approval: "? ",
};
const markWidth = 2;

function styleOf(colors: Colors, kind: EntryKind): (text: string) => string {
  if (kind === "user") return colors.bold;
  if (kind === "agent") return (text) => text;
  if (kind === "call") return colors.cyan;
  if (kind === "failure") return colors.red;
  if (kind === "approval") return colors.yellow;
  return colors.dim;
}

function writeEntry(surface: Surface, colors: Colors, entry: TranscriptEntry): void {
  const lines = wrapText(entry.text, surface.leftWidth - markWidth);
  lines.forEach((line, index) => writeLine(surface, entry.kind, line, index === 0, styleOf(colors, entry.kind)));
}

function writeLine(
  surface: Surface,
  kind: EntryKind,
  line: string,
  first: boolean,
  style: (text: string) => string = (text) => text,
): void {
  surface.left((first ? marks[kind] : " ".repeat(markWidth)) + line, style);
}

function toneStyle(colors: Colors, tone: LaneTone | "alarm"): (text: string) => string {
  if (tone === "awake") return colors.green;
  if (tone === "busy") return colors.yellow;
  if (tone === "alarm" || tone === "lost") return colors.red;
  return colors.dim;
}

function createTwoColumns(screen: Screen, colors: Colors): Surface {
  const columns = createColumns(screen);
  const bar = (tone: LaneTone) => ({ text: laneGlyphs[tone], style: toneStyle(colors, tone) });
  let current: LaneTone = "none";
  return {
    get leftWidth() {
      return columns.leftWidth - 1;
    },
    left: (text, style) => columns.addLeft({ text, style }),
    preview: (text) => columns.previewLeft({ text }),
    right: (text, tone) => columns.addRight({ text, style: toneStyle(colors, tone) }, bar(current)),
    setTone(tone) {
      current = tone;
      columns.setBar(bar(tone));
    },
    setFooter: (lines) => columns.setFooter(lines),
    close: () => columns.close(),
  };
}

function createOneColumn(screen: Screen, colors: Colors, stream: TerminalStream, progress: TerminalStream): Surface {
  let preview: readonly Line[] = [];
  let footer: readonly Line[] = [];
  const draw = () => screen.setLive([...preview, ...footer]);
  const write = (line: Line) => {
    screen.write([line]);
    draw();
  };
  // What is piped away is the transcript alone.
  const aside =
    stream.isTTY === true || stream === progress ? write : (line: Line) => createScreen(progress).write([line]);
  const tag = (tone: LaneTone | "alarm") => toneStyle(colors, tone);
  return {
    get leftWidth() {
      return stream.isTTY === true ? screen.width - 1 : 4000;
    },
    left(text, style) {
      preview = [];
      write([{ text, style }]);
    },
    preview(text) {
      preview = text === "" ? [] : [[{ text }]];
      draw();
    },
    right: (text, tone) => aside([{ text: `  [sandbox] ${text}`, style: tag(tone) }]),
    setTone: () => undefined,
    setFooter(lines) {
      footer = lines;
      draw();
    },
    close: () => screen.close(),
  };
}
