/** What a person may see and do of a session's sandbox: the same as an agent, and to end or move it. @module */
import { signalNumbers } from "@exoloop/protocol/commands";
import type { BackgroundCommand as ShownCommand, SessionSandbox } from "@exoloop/protocol/sandboxes";
import type { SandboxCapabilities } from "@exoloop/sandbox/contract";
import { SandboxGoneError, SandboxUnavailableError } from "@exoloop/sandbox/errors";
import type { Database } from "../db/database.ts";
import { Problem } from "../errors.ts";
import type { SessionSandboxPort } from "../http/routes/session-sandboxes.ts";
import type { Principal } from "../orgs/principal.ts";
import type { Previews } from "../previews/previews.ts";
import { previewUrls } from "../previews/urls.ts";
import type { SessionService } from "../sessions/port.ts";
import type { BackgroundCommand } from "./background/commands.ts";
import type { SandboxRoom } from "./room.ts";
import { readSandboxFigures } from "./summary.ts";
import type { SandboxOwner } from "./workspace.ts";

interface Parts {
  readonly database: Database;
  readonly sessions: Pick<SessionService, "head">;
  readonly room: Pick<SandboxRoom, "providers" | "defaultProvider" | "resources" | "background" | "kill" | "move">;
  readonly previews: Pick<Previews, "create">;
  /** At which people reach this server; null: as the caller names it. */
  readonly publicUrl: URL | null;
}

type OwnerOf = (principal: Principal, sessionId: string, lives?: boolean) => Promise<SandboxOwner>;

export function createSessionSandboxes(parts: Parts): SessionSandboxPort {
  const { room, previews, publicUrl } = parts;
  /** @throws Problem `not_found`; `session_archived` where the session must live on */
  const ownerOf: OwnerOf = async (principal, sessionId, lives = false) => {
    const { archived } = await parts.sessions.head(principal, sessionId);
    if (archived && lives) {
      throw new Problem("session_archived", "The session is archived and has no sandbox.", "Create a new session.");
    }
    return { sessionId, organizationId: principal.organizationId };
  };
  return {
    get: (principal, sessionId) => told(async () => describe(parts, await ownerOf(principal, sessionId))),
    kill: (principal, sessionId) =>
      told(async () => {
        const killed = await room.kill(await ownerOf(principal, sessionId));
        return { type: "sandbox_kill", session_id: sessionId, killed };
      }),
    move: (principal, sessionId, provider, signal) =>
      told(async () => {
        const owner = await ownerOf(principal, sessionId, true);
        if (!room.providers.has(provider)) throw unknownProvider(room, provider);
        await room.move(owner, provider, signal);
        return describe(parts, owner);
      }),
    ...commandMethods(room.background, ownerOf),
    preview: (principal, sessionId, { port, seconds, origin }) =>
      told(async () => {
        const owner = await ownerOf(principal, sessionId, true);
        refusePortless(await describe(parts, owner));
        const expiresAt = Math.floor(Date.now() / 1000) + seconds;
        const token = await previews.create({ ...owner, port, expiresAt });
        const expires = new Date(expiresAt * 1000).toISOString();
        return {
          type: "port_preview",
          session_id: sessionId,
          port,
          ...previewUrls(publicUrl ?? origin, token),
          expires_at: expires,
        };
      }),
  };
}

type Commands = Pick<SessionSandboxPort, "commands" | "output" | "signal" | "renew">;

function commandMethods(background: SandboxRoom["background"], ownerOf: OwnerOf): Commands {
  const find = async (owner: SandboxOwner, commandId: string) => {
    const found = (await background.list(owner)).find((one) => one.commandId === commandId);
    if (found !== undefined) return found;
    const hint = `List them with GET /v1/x/sessions/${owner.sessionId}/commands.`;
    throw new Problem("not_found", "The session has no background command with this id.", hint);
  };
  return {
    commands: (principal, sessionId) =>
      told(async () => {
        const owner = await ownerOf(principal, sessionId);
        return (await background.list(owner)).map((command) => show(owner, command));
      }),
    output: (principal, sessionId, commandId, offset) =>
      told(async () => {
        const owner = await ownerOf(principal, sessionId);
        const found = await find(owner, commandId);
        const output = found.state === "lost" ? null : await background.readOutput(owner, commandId, offset);
        if (output === null) return { bytes: new Uint8Array(), offset, nextOffset: offset, state: "lost" };
        return { ...output, state: output.exit === null ? found.state : "ended" };
      }),
    signal: (principal, sessionId, commandId, signal) =>
      told(async () => {
        const owner = await ownerOf(principal, sessionId);
        await find(owner, commandId);
        const delivered = await background.signal(owner, commandId, signalNumbers[signal]);
        return { type: "command_signal", command_id: commandId, delivered };
      }),
    renew: (principal, sessionId, commandId, seconds) =>
      told(async () => {
        const owner = await ownerOf(principal, sessionId, true);
        await find(owner, commandId);
        if ((await background.renewLease(owner, commandId, seconds)) === null) {
          throw new Problem("command_ended", "The command has ended, or its sandbox is gone.", "Start it again.");
        }
        return show(owner, await find(owner, commandId));
      }),
  };
}

/** What the sandbox rejects with, in the API's words. */
async function told<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SandboxUnavailableError) throw new Problem("sandbox_unavailable", error.message, error.remedy);
    if (error instanceof SandboxGoneError) {
      const hint = "Ask again: what it was is told as lost.";
      throw new Problem("sandbox_unavailable", "The session's sandbox was lost in this moment.", hint);
    }
    throw error;
  }
}

function unknownProvider({ providers }: Parts["room"], name: string): Problem {
  const known = [...providers.keys()].map((one) => JSON.stringify(one)).join(", ");
  return new Problem(
    "invalid_request",
    `provider: this server has none named ${JSON.stringify(name)}.`,
    `It has ${known}.`,
  );
}

async function describe({ database, room }: Parts, owner: SandboxOwner): Promise<SessionSandbox> {
  const figures = (await readSandboxFigures(database, [owner.sessionId])).get(owner.sessionId);
  const leases = await database
    .selectFrom("sandbox_leases")
    .select(["command_id", "until"])
    .where("session_id", "=", owner.sessionId)
    .where("ended_at", "is", null)
    .orderBy("started_at")
    .execute();
  const shown = figures ?? noSandbox(room.defaultProvider);
  const provider = room.providers.get(shown.provider);
  const { memoryBytes, processes, cpus, diskBytes, files } = room.resources;
  return {
    type: "sandbox",
    session_id: owner.sessionId,
    ...shown,
    capabilities: provider === undefined ? null : showCapabilities(provider.capabilities),
    limits: { memory_bytes: memoryBytes, processes, cpus, disk_bytes: diskBytes, files },
    leases: leases.map(({ command_id, until }) => ({ command_id, until: until.toISOString() })),
    providers: [...room.providers.keys()],
  };
}

/** @throws Problem `unsupported` */
function refusePortless({ provider, capabilities }: SessionSandbox): void {
  if (capabilities === null || capabilities.ports) return;
  throw new Problem(
    "unsupported",
    `Ports of sandboxes of the provider ${JSON.stringify(provider)} cannot be reached.`,
    "Move the session to a provider that has the capability `ports`.",
  );
}

/** Of a session that has never used one. */
function noSandbox(provider: string) {
  const counts = { generation: 0, awake_seconds: 0, commands: 0, replacements: 0 };
  const resumes = { resume_ms: { p50: null, max: null, n: 0 } };
  return { sandbox_id: null, provider, state: "none" as const, ...counts, ...resumes, snapshot_at: null };
}

function showCapabilities(capabilities: SandboxCapabilities): SessionSandbox["capabilities"] {
  const { suspend, isolation, terminal, ports, network } = capabilities;
  const { ownUserId, memoryLimit, processLimit, cpuLimit, diskLimit } = capabilities;
  const limits = { memory_limit: memoryLimit, process_limit: processLimit, cpu_limit: cpuLimit, disk_limit: diskLimit };
  return { suspend, isolation, own_user_id: ownUserId, ...limits, terminal, ports, network };
}

function show({ sessionId }: SandboxOwner, one: BackgroundCommand): ShownCommand {
  return {
    type: "background_command",
    id: one.commandId,
    session_id: sessionId,
    command: one.command,
    state: one.state,
    started_at: one.startedAt.toISOString(),
    until: one.until.toISOString(),
    exit: one.exit,
    output_bytes: one.outputBytes,
  };
}
