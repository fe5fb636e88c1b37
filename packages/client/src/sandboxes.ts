/** Sessions' sandboxes, the commands in them, and previews of their ports. @module */
import { outputHeaders, type SignalName } from "@exoloop/protocol/commands";
import type {
  BackgroundCommand,
  CommandResult,
  CommandSignal,
  CreatePreviewRequest,
  PortPreview,
  RunCommandRequest,
  Sandbox,
  SandboxKill,
  SessionSandbox,
} from "@exoloop/protocol/sandboxes";
import { readApiError } from "./api-error.ts";
import { segment, type Transport } from "./transport.ts";

interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface CommandOutput {
  readonly bytes: Uint8Array;
  /** Of the first byte: later than asked for where what was before is not kept. */
  readonly offset: number;
  /** What to ask for next. */
  readonly nextOffset: number;
  readonly state: BackgroundCommand["state"];
}

const session = (sessionId: string) => `/v1/x/sessions/${segment(sessionId)}`;

export function commandMethods(transport: Transport) {
  const path = (sessionId: string) => `${session(sessionId)}/commands`;
  const item = (sessionId: string, commandId: string) => `${path(sessionId)}/${segment(commandId)}`;
  return {
    /** Runs a command in the session's sandbox, besides what the agent does. */
    run: (sessionId: string, request: RunCommandRequest, call: CallOptions = {}) =>
      transport.request<CommandResult>("POST", path(sessionId), { body: request, ...call }),
    /** Those in the background, oldest first. */
    list: (sessionId: string) => transport.request<{ data: BackgroundCommand[] }>("GET", path(sessionId)),
    /** What it has written up to now from a byte on, at most 256 KiB at a time. */
    async output(sessionId: string, commandId: string, offset = 0, call: CallOptions = {}): Promise<CommandOutput> {
      const options = { query: { offset }, headers: { accept: "application/octet-stream" }, ...call };
      const response = await transport.send("GET", `${item(sessionId, commandId)}/output`, options);
      if (!response.ok) throw await readApiError(response);
      const { headers } = response;
      return {
        bytes: new Uint8Array(await response.arrayBuffer()),
        offset: Number(headers.get(outputHeaders.offset)),
        nextOffset: Number(headers.get(outputHeaders.nextOffset)),
        state: headers.get(outputHeaders.state) as BackgroundCommand["state"],
      };
    },
    signal: (sessionId: string, commandId: string, signal: SignalName) =>
      transport.request<CommandSignal>("POST", `${item(sessionId, commandId)}/signal`, { body: { signal } }),
    /** It keeps its sandbox awake for so long from now on. */
    renewLease: (sessionId: string, commandId: string, seconds: number) =>
      transport.request<BackgroundCommand>("POST", `${item(sessionId, commandId)}/lease`, { body: { seconds } }),
  };
}

export function sandboxMethods(transport: Transport) {
  return {
    list: () => transport.request<{ data: Sandbox[] }>("GET", "/v1/x/sandboxes"),
    retrieve: (sessionId: string) => transport.request<SessionSandbox>("GET", `${session(sessionId)}/sandbox`),
    /** The next command gets another one, with the workspace of the last snapshot. */
    kill: (sessionId: string) => transport.request<SandboxKill>("POST", `${session(sessionId)}/sandbox/kill`),
    /** The workspace goes along, processes do not. Waits for the command that runs. */
    move: (sessionId: string, provider: string, call: CallOptions = {}) =>
      transport.request<SessionSandbox>("POST", `${session(sessionId)}/sandbox/move`, { body: { provider }, ...call }),
    /** A URL to a port; whoever has it reaches the port. */
    preview: (sessionId: string, request: CreatePreviewRequest) =>
      transport.request<PortPreview>("POST", `${session(sessionId)}/previews`, { body: request }),
  };
}
