/** The room put together: what the rest of the server does with sandboxes, and the work that keeps them in order. @module */
import type { SandboxProvider, SandboxResources } from "@exoloop/sandbox/contract";
import type { BlobStore } from "../blobs/store.ts";
import type { Database } from "../db/database.ts";
import type { Engine } from "../engine/engine.ts";
import type { NoticeBoard } from "../sessions/notices.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { CommandRunner } from "../tools/tool.ts";
import { killCommand, listCommands, readOutput, renewLease, signalCommand } from "./background/commands.ts";
import { createPorts, type Ports } from "./background/ports.ts";
import { startBackground } from "./background/start.ts";
import { createCommandRunner, type Projection } from "./command-runner.ts";
import { type SandboxDependencies, workspaceOf } from "./held-sandbox.ts";
import { dropSandbox, killSandbox } from "./life/end.ts";
import { putIdleAway } from "./life/idle.ts";
import { readInstallation } from "./life/installation.ts";
import { endDueLeases } from "./life/leases.ts";
import { moveSandbox } from "./life/move.ts";
import { reconcile } from "./life/reconcile.ts";
import { saveFiles, saveFilesSoon } from "./use/save-files.ts";
import { createSnapshots } from "./snapshots/stored-snapshots.ts";
import type { SandboxOwner } from "./workspace.ts";
import { createWorkspaces, type Workspaces } from "./workspaces.ts";

export interface RoomParts {
  readonly database: Database;
  readonly notices: NoticeBoard;
  readonly log: Logger;
  readonly blobs: BlobStore;
  readonly providers: ReadonlyMap<string, SandboxProvider>;
  readonly defaultProvider: string;
  readonly resources: SandboxResources;
  readonly projectionOf: (owner: SandboxOwner) => Projection;
}

/** Parameters as the functions of the same names say. */
type Bound<Work> = Work extends (dependencies: never, ...rest: infer Rest) => infer Result
  ? (...rest: Rest) => Result
  : never;

export interface SandboxRoom extends Pick<RoomParts, "providers" | "defaultProvider" | "resources"> {
  readonly workspaces: Workspaces;
  readonly commandsOf: (owner: SandboxOwner) => CommandRunner;
  readonly background: {
    readonly start: Bound<typeof startBackground>;
    readonly list: Bound<typeof listCommands>;
    readonly readOutput: Bound<typeof readOutput>;
    readonly signal: Bound<typeof signalCommand>;
    readonly kill: Bound<typeof killCommand>;
    readonly renewLease: Bound<typeof renewLease>;
  };
  /** Of what a background command has changed in stored files up to now. Waits half a second at most; never rejects. */
  readonly saveFiles: (owner: SandboxOwner) => Promise<void>;
  readonly ports: Ports;
  readonly kill: Bound<typeof killSandbox>;
  readonly drop: Bound<typeof dropSandbox>;
  readonly move: Bound<typeof moveSandbox>;
  /** Registers what is done again and again. Called before the engine starts. */
  keep(engine: Pick<Engine, "every">, options: { readonly idleSeconds: number }): void;
  /** Puts in order what an earlier server has left, and fills the pool; both go on behind, again every minute. */
  begin(options: { readonly pool: number }): void;
  stop(): Promise<void>;
}

/** Milliseconds. */
const [idleLookMs, leaseLookMs, reconcileMs] = [15_000, 5_000, 60_000];

export async function openSandboxRoom(parts: RoomParts): Promise<SandboxRoom> {
  const { database, log, providers, defaultProvider, resources, projectionOf } = parts;
  const dependencies: SandboxDependencies = {
    ...parts,
    installation: await readInstallation(database),
    snapshots: createSnapshots(parts),
    saveFiles: async (held) => projectionOf(held.owner).settle?.(workspaceOf(held)),
  };
  const workspaces = createWorkspaces(dependencies);
  const runnerOf = (owner: SandboxOwner) => ({ ...dependencies, workspaces, projection: projectionOf(owner) });
  let reconciling: NodeJS.Timeout | undefined;
  const putInOrder = () =>
    void reconcile(dependencies).catch((error: unknown) => log.warn({ error }, "sandboxes could not be put in order"));
  return {
    providers,
    defaultProvider,
    resources,
    workspaces,
    commandsOf: (owner) => createCommandRunner(runnerOf(owner), owner),
    background: {
      start: (owner, request) => startBackground(runnerOf(owner), owner, request),
      list: (...rest) => listCommands(dependencies, ...rest),
      readOutput: (...rest) => readOutput(dependencies, ...rest),
      signal: (...rest) => signalCommand(dependencies, ...rest),
      kill: (...rest) => killCommand(dependencies, ...rest),
      renewLease: (...rest) => renewLease(dependencies, ...rest),
    },
    saveFiles: (owner) => saveFilesSoon({ ...dependencies, workspaces }, owner),
    ports: createPorts(dependencies),
    kill: (owner) => killSandbox(dependencies, owner),
    drop: (...rest) => dropSandbox(dependencies, ...rest),
    move: (...rest) => moveSandbox({ ...dependencies, workspaces }, ...rest),
    keep(engine, { idleSeconds }) {
      engine.every("idle sandboxes", idleLookMs, (signal) => putIdleAway(dependencies, idleSeconds, signal));
      const afterEnd = (owner: SandboxOwner) =>
        saveFiles({ ...dependencies, workspaces }, owner).then(() => workspaces.capture(owner));
      engine.every("sandbox leases", leaseLookMs, (signal) => endDueLeases(dependencies, afterEnd, signal));
    },
    begin({ pool }) {
      // Of this process and not of the engine: a machine's sandboxes are seen from that machine only.
      const look = () => {
        putInOrder();
        // Asked for again: a host that was started anew knows nothing of it.
        providers
          .get(defaultProvider)
          ?.keepWarm({ count: pool, resources, environment: {} })
          .catch((error: unknown) => log.warn({ error }, "no sandboxes are kept ready"));
      };
      look();
      reconciling = setInterval(look, reconcileMs).unref();
    },
    async stop() {
      clearInterval(reconciling);
      await workspaces.settle();
      for (const provider of providers.values()) await provider.close();
    },
  };
}
