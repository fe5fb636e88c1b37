/**
 * The sandbox lane: what the sandbox does while the transcript goes on. Pure: one state and one frame give the next
 * state and what there is to say about it.
 * @module
 */

type SandboxStatus = "creating" | "waking" | "awake" | "suspended" | "snapshotted" | "replaced" | "gone";

/** As the stream carries it under `x_exoloop.sandbox_status`. */
export interface SandboxFrame {
  readonly status: SandboxStatus;
  readonly generation: number;
  /** How long the step to this state took. */
  readonly milliseconds: number;
  /** RFC 3339. */
  readonly at: string;
}

export type LaneTone = "none" | "busy" | "awake" | "asleep" | "lost";

export interface LaneState {
  readonly tone: LaneTone;
  /** Milliseconds since the epoch at which the sandbox became awake; null while it is not. */
  readonly awakeSince: number | null;
}

export const initialLane: LaneState = { tone: "none", awakeSince: null };

export interface LaneStep {
  readonly state: LaneState;
  /** One short line, or null when the frame only changes the state. */
  readonly label: string | null;
}

const statuses: readonly string[] = ["creating", "waking", "awake", "suspended", "snapshotted", "replaced", "gone"];

function isSandboxStatus(value: unknown): value is SandboxStatus {
  return typeof value === "string" && statuses.includes(value);
}

/** Null for a frame of another kind or of a form that this client does not know. */
export function readSandboxFrame(frame: Readonly<Record<string, unknown>>): SandboxFrame | null {
  const { type, status, generation, milliseconds, at } = frame;
  if (type !== "x_exoloop.sandbox_status" || !isSandboxStatus(status)) return null;
  return {
    status,
    generation: typeof generation === "number" ? generation : 0,
    milliseconds: typeof milliseconds === "number" ? milliseconds : 0,
    at: typeof at === "string" ? at : "",
  };
}

/** @example formatMilliseconds(0.84) // "0.8 ms" */
export function formatMilliseconds(milliseconds: number): string {
  if (milliseconds >= 10_000) return `${(milliseconds / 1000).toFixed(0)} s`;
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
}

function awakeFor(state: LaneState, at: number): string {
  return state.awakeSince === null || Number.isNaN(at) ? "" : ` after ${formatMilliseconds(at - state.awakeSince)}`;
}

/** @example stepLane(initialLane, frame).label // "awake in 0.9 ms" */
export function stepLane(state: LaneState, frame: SandboxFrame): LaneStep {
  const took = formatMilliseconds(frame.milliseconds);
  const at = Date.parse(frame.at);
  const rest = (tone: LaneTone): LaneState => ({ tone, awakeSince: null });
  switch (frame.status) {
    case "creating":
      return { state: rest("busy"), label: "creating" };
    case "waking":
      return { state: rest("busy"), label: null };
    case "awake":
      return {
        state: { tone: "awake", awakeSince: Number.isNaN(at) ? null : at },
        label: `awake in ${took}`,
      };
    case "suspended":
      return { state: rest("asleep"), label: `suspended${awakeFor(state, at)}` };
    case "snapshotted":
      return { state, label: `snapshot in ${took}` };
    case "replaced":
      return {
        state: rest("asleep"),
        label: `replaced: generation ${frame.generation}, in ${took}`,
      };
    case "gone":
      return { state: rest("lost"), label: "gone" };
  }
}

/** The lane's glyph: solid while the sandbox costs something, dotted while it sleeps. */
export const laneGlyphs: Readonly<Record<LaneTone, string>> = {
  none: " ",
  busy: "┃",
  awake: "┃",
  asleep: "┊",
  lost: "╳",
};
