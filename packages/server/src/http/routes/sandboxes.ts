/** /v1/x: sandboxes, and commands that a person runs in one. @module */
import {
  type CommandResult,
  commandResult,
  runCommandRequest,
  type Sandbox,
  sandboxList,
} from "@exoloop/protocol/sandboxes";
import { type RouteContext, addRoute } from "../route.ts";
import type { Principal } from "../../sessions/port.ts";

export interface CommandPort {
  /**
   * Runs a command in the session's sandbox, which is woken or created for it.
   * @throws Problem `not_found`, `session_archived`, `sandbox_unavailable`
   */
  run(
    principal: Principal,
    sessionId: string,
    request: { readonly command: string; readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<CommandResult>;
}

export interface SandboxPort {
  /** The sandboxes of the principal's organization, bounded, latest use first. */
  list(principal: Principal): Promise<readonly Sandbox[]>;
}

const tag = "Exoloop";
const defaultTimeoutMilliseconds = 120_000;

export function addCommandRoute(context: RouteContext, commands: CommandPort): void {
  addRoute(
    context,
    {
      method: "post",
      path: "/v1/x/sessions/{session_id}/commands",
      summary: "Run a command in a session's sandbox",
      tag,
      body: runCommandRequest,
      answer: commandResult,
    },
    ({ principal, body, signal, parameter }) =>
      commands.run(principal, parameter("session_id"), {
        command: body.command,
        timeoutMs: body.timeout_ms ?? defaultTimeoutMilliseconds,
        signal,
      }),
  );
}

export function addSandboxRoute(context: RouteContext, sandboxes: SandboxPort): void {
  addRoute(
    context,
    { method: "get", path: "/v1/x/sandboxes", summary: "List sandboxes", tag, answer: sandboxList },
    async ({ principal }) => ({ data: [...(await sandboxes.list(principal))] }),
  );
}
