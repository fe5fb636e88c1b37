/** /v1/x/sessions/{id}/sandbox, its background commands, and previews of its ports. @module */
import { outputHeaders, type SignalName } from "@exoloop/protocol/commands";
import {
  type BackgroundCommand,
  backgroundCommand,
  backgroundCommandList,
  commandOutput,
  commandSignal,
  type CommandSignal,
  createPreviewRequest,
  moveSandboxRequest,
  portPreview,
  type PortPreview,
  renewLeaseRequest,
  sandboxKill,
  type SandboxKill,
  type SessionSandbox,
  sessionSandbox,
  signalCommandRequest,
} from "@exoloop/protocol/sandboxes";
import { z } from "zod";
import type { Principal } from "../../sessions/port.ts";
import { addRoute, type RouteContext } from "../route.ts";

export interface CommandOutput {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly nextOffset: number;
  readonly state: BackgroundCommand["state"];
}

/** Every method throws Problem `not_found` for a session or a command that is not there, or not the caller's. */
export interface SessionSandboxPort {
  get(principal: Principal, sessionId: string): Promise<SessionSandbox>;
  kill(principal: Principal, sessionId: string): Promise<SandboxKill>;
  /** Waits for the command that runs. @throws Problem `invalid_request`, `session_archived` */
  move(principal: Principal, sessionId: string, provider: string, signal: AbortSignal): Promise<SessionSandbox>;
  commands(principal: Principal, sessionId: string): Promise<readonly BackgroundCommand[]>;
  output(principal: Principal, sessionId: string, commandId: string, offset: number): Promise<CommandOutput>;
  signal(principal: Principal, sessionId: string, commandId: string, signal: SignalName): Promise<CommandSignal>;
  /** @throws Problem `command_ended` */
  renew(principal: Principal, sessionId: string, commandId: string, seconds: number): Promise<BackgroundCommand>;
  /** @param origin As the caller names this server. @throws Problem `session_archived`, `unsupported` */
  preview(
    principal: Principal,
    sessionId: string,
    request: { readonly port: number; readonly seconds: number; readonly origin: URL },
  ): Promise<PortPreview>;
}

const tag = "Exoloop";
const session = "/v1/x/sessions/{session_id}";
const command = `${session}/commands/{command_id}` as const;
const previewSeconds = 3_600;

export function addSessionSandboxRoutes(context: RouteContext, sandboxes: SessionSandboxPort): void {
  addRoute(
    context,
    { method: "get", path: `${session}/sandbox`, summary: "Retrieve a session's sandbox", tag, answer: sessionSandbox },
    ({ principal, parameter }) => sandboxes.get(principal, parameter("session_id")),
  );
  addRoute(
    context,
    { method: "post", path: `${session}/sandbox/kill`, summary: "Kill a session's sandbox", tag, answer: sandboxKill },
    ({ principal, parameter }) => sandboxes.kill(principal, parameter("session_id")),
  );
  addRoute(
    context,
    {
      method: "post",
      path: `${session}/sandbox/move`,
      summary: "Move a session to another sandbox provider",
      tag,
      body: moveSandboxRequest,
      answer: sessionSandbox,
    },
    ({ principal, body, signal, parameter }) =>
      sandboxes.move(principal, parameter("session_id"), body.provider, signal),
  );
  addRoute(
    context,
    {
      method: "post",
      path: `${session}/previews`,
      summary: "Make a URL to a port of a session's sandbox",
      tag,
      body: createPreviewRequest,
      answer: portPreview,
    },
    ({ principal, body: { port, seconds = previewSeconds }, parameter, origin }) =>
      sandboxes.preview(principal, parameter("session_id"), { port, seconds, origin }),
  );
  addBackgroundRoutes(context, sandboxes);
}

function addBackgroundRoutes(context: RouteContext, sandboxes: SessionSandboxPort): void {
  addRoute(
    context,
    {
      method: "get",
      path: `${session}/commands`,
      summary: "List a session's background commands",
      tag,
      answer: backgroundCommandList,
    },
    async ({ principal, parameter }) => ({ data: [...(await sandboxes.commands(principal, parameter("session_id")))] }),
  );
  addRoute(
    context,
    {
      method: "get",
      path: `${command}/output`,
      summary: "Read a command's output, as it was written",
      tag,
      query: z.strictObject({ offset: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional() }),
      answer: commandOutput,
      stream: "application/octet-stream",
    },
    async ({ principal, query, parameter }) => {
      const [sessionId, commandId] = [parameter("session_id"), parameter("command_id")];
      const { bytes, offset, nextOffset, state } = await sandboxes.output(
        principal,
        sessionId,
        commandId,
        query.offset ?? 0,
      );
      const headers = {
        // Never shown by a browser: a command prints what it likes.
        "content-type": "application/octet-stream",
        "content-disposition": 'attachment; filename="output"',
        "x-content-type-options": "nosniff",
        [outputHeaders.offset]: String(offset),
        [outputHeaders.nextOffset]: String(nextOffset),
        [outputHeaders.state]: state,
      };
      return new Response(new Uint8Array(bytes), { headers });
    },
  );
  addRoute(
    context,
    {
      method: "post",
      path: `${command}/signal`,
      summary: "Send a signal to a background command",
      tag,
      body: signalCommandRequest,
      answer: commandSignal,
    },
    ({ principal, body, parameter }) =>
      sandboxes.signal(principal, parameter("session_id"), parameter("command_id"), body.signal),
  );
  addRoute(
    context,
    {
      method: "post",
      path: `${command}/lease`,
      summary: "Let a background command keep its sandbox awake, from now on for so long",
      tag,
      body: renewLeaseRequest,
      answer: backgroundCommand,
    },
    ({ principal, body, parameter }) =>
      sandboxes.renew(principal, parameter("session_id"), parameter("command_id"), body.seconds),
  );
}
