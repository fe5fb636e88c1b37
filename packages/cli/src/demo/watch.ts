/** Follows the demo's session and says when to strike. Pure. @module */
import { isFields, readString, type StreamedEvent } from "../render/transcript.ts";

export interface DemoWatch {
  /** Edits of the workspace whose result has not come. */
  readonly openEdits: readonly string[];
  /** An edit has been made: the next command is the one to lose its sandbox. */
  readonly edited: boolean;
  /** The call that was running when the sandbox was taken away; null before. */
  readonly struckCall: string | null;
  readonly turns: number;
  /** Model calls and tool calls. */
  readonly steps: number;
  /** Calls that name a note below /memory/org and have no result yet. */
  readonly openNotes: readonly { readonly call: string; readonly path: string }[];
  /** Notes that calls which succeeded have named, oldest first. */
  readonly notes: readonly string[];
  /** Type of the reason for which it last stopped; null while it runs. */
  readonly stopped: string | null;
  /** Last error that the session reported. */
  readonly error: string | null;
}

export const initialWatch: DemoWatch = {
  openEdits: [],
  edited: false,
  struckCall: null,
  turns: 0,
  steps: 0,
  openNotes: [],
  notes: [],
  stopped: null,
  error: null,
};

/** @returns the next state; `struckCall` changes from null to a call at the moment to strike. */
export function watchEvent(watch: DemoWatch, event: StreamedEvent): DemoWatch {
  switch (event.type) {
    case "session.status_running":
      return {
        ...watch,
        turns: watch.stopped === null && watch.turns > 0 ? watch.turns : watch.turns + 1,
        stopped: null,
      };
    case "session.status_idle":
      return {
        ...watch,
        stopped: isFields(event["stop_reason"]) ? readString(event["stop_reason"], "type") : "unknown",
      };
    case "session.status_terminated":
      return { ...watch, stopped: "terminated" };
    case "span.model_request_start":
      return { ...watch, steps: watch.steps + 1 };
    case "session.error":
      return {
        ...watch,
        error: isFields(event["error"]) ? readString(event["error"], "message") : "unknown error",
      };
    case "agent.tool_use":
      return watchCall({ ...watch, steps: watch.steps + 1 }, event);
    case "agent.tool_result":
      return watchResult(watch, event);
    default:
      return watch;
  }
}

function watchCall(watch: DemoWatch, event: StreamedEvent): DemoWatch {
  const input = isFields(event["input"]) ? event["input"] : {};
  const name = readString(event, "name");
  const id = readString(event, "id");
  const named = name === "read" ? [] : notesOf(input).map((path) => ({ call: id, path }));
  const noted = { ...watch, openNotes: [...watch.openNotes, ...named] };
  if (name === "bash") return watch.edited && watch.struckCall === null ? { ...noted, struckCall: id } : noted;
  const changesWorkspace = (name === "edit" || name === "write") && isInWorkspace(readString(input, "file_path"));
  return changesWorkspace ? { ...noted, openEdits: [...watch.openEdits, id] } : noted;
}

function isInWorkspace(path: string): boolean {
  return path !== "" && !path.startsWith("/memory/") && !path.startsWith("/skills/");
}

function watchResult(watch: DemoWatch, event: StreamedEvent): DemoWatch {
  const id = readString(event, "tool_use_id");
  const failed = event["is_error"] === true;
  const notes = failed ? [] : watch.openNotes.filter((note) => note.call === id).map((note) => note.path);
  const settled = {
    ...watch,
    openNotes: watch.openNotes.filter((note) => note.call !== id),
    notes: [...watch.notes, ...notes],
  };
  if (!watch.openEdits.includes(id)) return settled;
  return {
    ...settled,
    openEdits: watch.openEdits.filter((edit) => edit !== id),
    edited: watch.edited || !failed,
  };
}

/** Paths without anything that a shell would read otherwise: they are quoted into a command later. */
function notesOf(input: Readonly<Record<string, unknown>>): string[] {
  const named = [
    readString(input, "file_path"),
    readString(input, "command").replaceAll(/["']?\$\{?MEMORY\}?["']?/g, "/memory"),
  ];
  return named.flatMap((text) => text.match(/\/memory\/org\/[A-Za-z0-9_-][A-Za-z0-9._/-]*/g) ?? []);
}
