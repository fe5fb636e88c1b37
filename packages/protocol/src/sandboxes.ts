/** Sandboxes and commands in them: `/v1/x/…`, besides the Managed Agents API. @module */
import { z } from "zod";
import { type SignalName, signalNumbers } from "./commands.ts";
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

/** How it is walled off and what it can do; what the words mean stands in docs/providers.md. */
const sandboxCapabilities = z.object({
  suspend: z.string(),
  isolation: z.string(),
  own_user_id: z.boolean(),
  memory_limit: z.boolean(),
  process_limit: z.boolean(),
  cpu_limit: z.boolean(),
  disk_limit: z.string(),
  terminal: z.boolean(),
  ports: z.boolean(),
  network: z.string(),
});

export const sessionSandbox = z
  .object({
    ...sandbox.shape,
    /** Null where this server does not have the provider. */
    capabilities: sandboxCapabilities.nullable(),
    /** Of the next sandbox; one that lives has those of its creation. */
    limits: z.object({
      memory_bytes: z.int(),
      processes: z.int(),
      cpus: z.number(),
      disk_bytes: z.int(),
      files: z.int(),
    }),
    /** Background commands that keep it awake. */
    leases: z.array(z.object({ command_id: z.string(), until: timestamp })),
    /** Where the session can be moved to. */
    providers: z.array(z.string()),
  })
  .meta({ id: "SessionSandbox" });
export type SessionSandbox = z.infer<typeof sessionSandbox>;

export const sandboxKill = z
  .object({
    type: z.literal("sandbox_kill"),
    session_id: z.string(),
    /** False: there was none. */
    killed: z.boolean(),
  })
  .meta({ id: "SandboxKill" });
export type SandboxKill = z.infer<typeof sandboxKill>;

export const moveSandboxRequest = z
  .strictObject({ provider: z.string().min(1).max(64) })
  .meta({ id: "MoveSandboxRequest" });
export type MoveSandboxRequest = z.infer<typeof moveSandboxRequest>;

export const backgroundCommand = z
  .object({
    type: z.literal("background_command"),
    id: z.string(),
    session_id: z.string(),
    command: z.string(),
    /**
     * `suspended`: its time was up, and it stands still until its lease is renewed or another command runs. `lost`: its
     * sandbox is gone.
     */
    state: z.enum(["running", "suspended", "ended", "lost"]),
    started_at: timestamp,
    /** Until when it keeps the sandbox awake. */
    until: timestamp,
    /** Null while it has not ended, and when it is lost. */
    exit: commandExit.nullable(),
    /** Bytes that it has written. */
    output_bytes: z.int(),
  })
  .meta({ id: "BackgroundCommand" });
export type BackgroundCommand = z.infer<typeof backgroundCommand>;

export const backgroundCommandList = z
  .object({ data: z.array(backgroundCommand) })
  .meta({ id: "BackgroundCommandList" });

export const commandOutput = z.string().meta({ id: "CommandOutput" });

const signalNames = Object.keys(signalNumbers) as [SignalName, ...SignalName[]];

export const signalCommandRequest = z
  .strictObject({ signal: z.enum(signalNames) })
  .meta({ id: "SignalCommandRequest" });
export type SignalCommandRequest = z.infer<typeof signalCommandRequest>;

export const commandSignal = z
  .object({
    type: z.literal("command_signal"),
    command_id: z.string(),
    /** False: it has ended. */
    delivered: z.boolean(),
  })
  .meta({ id: "CommandSignal" });
export type CommandSignal = z.infer<typeof commandSignal>;

export const renewLeaseRequest = z
  .strictObject({ seconds: z.int().min(1).max(21_600) })
  .meta({ id: "RenewLeaseRequest" });
export type RenewLeaseRequest = z.infer<typeof renewLeaseRequest>;

export const createPreviewRequest = z
  .strictObject({
    port: z.int().min(1).max(65_535),
    /** Until it expires: 3,600 unless given, a day at most. */
    seconds: z.exactOptional(z.int().min(1).max(86_400)),
  })
  .meta({ id: "CreatePreviewRequest" });
export type CreatePreviewRequest = z.infer<typeof createPreviewRequest>;

export const portPreview = z
  .object({
    type: z.literal("port_preview"),
    session_id: z.string(),
    port: z.int(),
    /** Whoever has it reaches the port: it is a secret. Pages have no origin of their own here. */
    url: z.string(),
    /** The same by a host name of its own, for pages that need absolute paths, cookies or storage. Null where this
     * server was asked by an address that has no names below it. */
    host_url: z.string().nullable(),
    expires_at: timestamp,
  })
  .meta({ id: "PortPreview" });
export type PortPreview = z.infer<typeof portPreview>;
