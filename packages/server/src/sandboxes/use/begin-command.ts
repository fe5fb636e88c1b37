/** A command's way into the sandbox: the intent, the files that it sees, the thaw and the command itself. @module */
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import type { SandboxProcess } from "@exoloop/sandbox/session";
import type { CommandRunner } from "../../tools/tool.ts";
import { type HeldSandbox, type SandboxDependencies, publishStatus, workspaceOf } from "../held-sandbox.ts";
import type { StoredNotice } from "../notices.ts";
import type { Workspace } from "../workspace.ts";
import { dispatch } from "./dispatch.ts";
import { withdrawIntent, writeIntent, type WrittenIntent } from "./intent.ts";

/** Files that live elsewhere and are seen inside the sandbox. */
export interface Projection {
  /** Brings the sandbox's copies up to date, before a command. */
  before(workspace: Workspace): Promise<void>;
  /** Saves what the command changed; the text tells the model what was saved, merged or refused. Null when nothing was. */
  after(workspace: Workspace, toolUseId: string): Promise<string | null>;
  /** Saves what was changed by whatever runs in the background; what there is to tell waits for the next command. */
  settle?(workspace: Workspace): Promise<void>;
}

export type CommandRequest = Parameters<CommandRunner["run"]>[0];

/** What a command needs to begin; background commands have no time limit of their own. */
export type BeginRequest = Pick<CommandRequest, "commandId" | "command" | "reattach" | "toldToModel"> & {
  readonly timeoutMs?: number;
  /** This worker has just found or made the sandbox. */
  readonly fresh: boolean;
};

export type Begun =
  | {
      readonly type: "started";
      readonly process: SandboxProcess;
      readonly notices: readonly StoredNotice[];
      /** Null when the sandbox was awake. */
      readonly resumeMs: number | null;
    }
  /** The held sandbox is not the session's sandbox any more, or was lost before the command reached it. */
  | { readonly type: "not_begun" };

type Dependencies = SandboxDependencies & { readonly projection: Projection };

/**
 * With `reattach` the command is joined where the sandbox knows it; where it does not, the worker died before the
 * command was sent, and a sandbox joins a second start under one identifier to the first.
 * @throws SandboxGoneError when the command may have begun
 */
export async function beginCommand(
  dependencies: Dependencies,
  held: HeldSandbox,
  request: BeginRequest,
): Promise<Begun> {
  const { commandId, toldToModel = true } = request;
  const intend = () => writeIntent(dependencies, held, { commandId, toldToModel });
  const lay = () => dependencies.projection.before(workspaceOf(held));
  if (request.reattach) return join(dependencies, held, request, await intend());
  // In a sandbox that is new here much may have to be laid, and it can sleep meanwhile; else next to nothing.
  const [laid, written] = request.fresh
    ? [await settle(lay()), await settle(intend())]
    : await Promise.all([settle(lay()), settle(intend())]);
  if (written.status === "rejected") throw written.reason;
  if (written.value === null) return { type: "not_begun" };
  if (laid.status === "fulfilled") return send(dependencies, held, request, written.value);
  if (!(laid.reason instanceof SandboxGoneError)) throw laid.reason;
  await withdrawIntent(dependencies, held, commandId);
  return { type: "not_begun" };
}

async function settle<Value>(work: Promise<Value>): Promise<PromiseSettledResult<Value>> {
  const [result] = await Promise.allSettled([work]);
  return result;
}

async function join(
  dependencies: Dependencies,
  held: HeldSandbox,
  request: BeginRequest,
  written: WrittenIntent | null,
): Promise<Begun> {
  if (written === null) return { type: "not_begun" };
  const { sandbox, owner, generation } = held;
  publishStatus(dependencies, owner, "waking", generation, 0);
  const { milliseconds } = await sandbox.resume();
  publishStatus(dependencies, owner, "awake", generation, milliseconds);
  const process = await sandbox.session.attachCommand({ commandId: request.commandId, byteOffset: 0 });
  if (process !== null) return { type: "started", process, notices: written.notices, resumeMs: milliseconds };
  await dependencies.projection.before(workspaceOf(held));
  return send(dependencies, held, request, { ...written, wasAsleep: false });
}

async function send(
  dependencies: Dependencies,
  held: HeldSandbox,
  { commandId, command, timeoutMs }: BeginRequest,
  { notices, wasAsleep }: WrittenIntent,
): Promise<Begun> {
  const limit = timeoutMs === undefined ? {} : { timeoutMs };
  const options = { command, commandId, workingDirectory: "/workspace", ...limit };
  const dispatched = await dispatch(dependencies, held, options, wasAsleep);
  if (dispatched.type === "started") {
    const { process, resumeMs } = dispatched;
    return { type: "started", process, notices, resumeMs: wasAsleep ? resumeMs : null };
  }
  await withdrawIntent(dependencies, held, commandId);
  return { type: "not_begun" };
}
