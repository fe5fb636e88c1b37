/** Sandboxes and commands in them: `/v1/x/…`, besides the Managed Agents API. @module */
import { z } from "zod";
import { timestamp } from "./values.ts";

const sandboxState = z.enum(["none", "creating", "awake", "suspended", "snapshotted", "gone"]);
export type SandboxState = z.infer<typeof sandboxState>;

export const sandboxFigures = z.object({
  sandbox_id: z.string().nullable(),
  provider: z.string(),
  /** 1 for the first sandbox; each replacement has the next number. */
  generation: z.int(),
  state: sandboxState,
  awake_seconds: z.number(),
  commands: z.int(),
  replacements: z.int(),
  /** Milliseconds over the last 1,000 resumes; `n` counts them. */
  resume_ms: z.object({ p50: z.number().nullable(), max: z.number().nullable(), n: z.int() }),
  snapshot_at: timestamp.nullable(),
});
export type SandboxFigures = z.infer<typeof sandboxFigures>;

export const sandbox = z
  .object({ type: z.literal("sandbox"), session_id: z.string(), ...sandboxFigures.shape })
  .meta({ id: "Sandbox" });
export type Sandbox = z.infer<typeof sandbox>;

export const sandboxList = z.object({ data: z.array(sandbox) }).meta({ id: "SandboxList" });

const maximumCommandMilliseconds = 600_000;

export const runCommandRequest = z
  .strictObject({
    command: z.string().min(1).max(100_000),
    timeout_ms: z.exactOptional(z.int().min(1).max(maximumCommandMilliseconds)),
  })
  .meta({ id: "RunCommandRequest" });
export type RunCommandRequest = z.infer<typeof runCommandRequest>;

/** How a command ended; `unknown` when its sandbox was lost, and never invented. */
const commandExit = z.discriminatedUnion("type", [
  z.object({ type: z.literal("exited"), code: z.int() }),
  z.object({ type: z.literal("signalled"), signal: z.int() }),
  z.object({ type: z.literal("timed_out") }),
  z.object({ type: z.literal("unknown"), reason: z.string() }),
  z.object({ type: z.literal("interrupted") }),
]);
export type CommandExit = z.infer<typeof commandExit>;

export const commandResult = z
  .object({
    exit: commandExit,
    /** Standard output and error in the order in which they came. */
    output: z.string(),
    /** The output was longer than what is shown. */
    truncated: z.boolean(),
    /** What happened around the command: a sandbox that was replaced, files that were saved. */
    notices: z.array(z.string()),
  })
  .meta({ id: "CommandResult" });
export type CommandResult = z.infer<typeof commandResult>;
