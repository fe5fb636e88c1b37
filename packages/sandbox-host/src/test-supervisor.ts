/** A real supervisor without a sandbox around it, for tests of what it answers. @module */
import { type ChildProcess, spawn } from "node:child_process";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FrameConnection, connectFrames } from "@exoloop/sandbox/providers/local/connection";
import { frameTypes } from "@exoloop/sandbox/providers/local/frames";
import { openSession } from "@exoloop/sandbox/providers/local/sandbox";
import type { SandboxSession } from "@exoloop/sandbox/session";
import { type GuestBuild, buildGuest } from "./guest-build.ts";

export interface TestSupervisor {
  readonly child: ChildProcess;
  /** For files of the test; `/workspace` inside. */
  readonly directory: string;
  readonly socketPath: string;
  readonly session: SandboxSession;
  /** What it said on standard error. */
  complaints(): string;
  /** A connection of its own, its hello read. `transfer`: for files. */
  connect(kind?: "transfer"): Promise<FrameConnection>;
  close(): Promise<void>;
}

export interface TestSupervisorOptions {
  /** Instead of those that are built for this machine. */
  readonly programs?: Partial<Pick<GuestBuild, "supervisor" | "launch" | "transfer">>;
  /** As whom it runs; as ourselves when absent. */
  readonly userId?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

export async function openTestSupervisor(options: TestSupervisorOptions = {}): Promise<TestSupervisor> {
  const { launch, transfer, supervisor } = { ...buildGuest(), ...options.programs };
  const { userId } = options;
  const directory = mkdtempSync(join(tmpdir(), "exoloop-supervisor-"));
  if (userId !== undefined) chownSync(directory, userId, userId);
  const socketPath = join(directory, "supervisor.sock");
  const workspace = join(directory, "workspace");
  const environment = {
    PATH: "/usr/bin:/bin",
    HOME: directory,
    WORKSPACE: workspace,
    GREETING: "hello",
    ...options.environment,
  };
  const child = spawn(supervisor, [socketPath, "0", "0", launch, transfer], {
    env: environment,
    stdio: ["ignore", "ignore", "pipe"],
    ...(userId === undefined ? {} : { uid: userId, gid: userId }),
  });
  let complaints = "";
  child.stderr?.on("data", (bytes: Buffer) => (complaints += bytes.toString()));
  const location = { socketPath, mappings: { "/workspace": workspace }, servedMs: null };
  const verify = async (): Promise<typeof location> => {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`the supervisor has ended: ${complaints}`);
    return location;
  };
  const { session, close } = openSession({ sandboxId: "test", location, verify }, "a test");
  await session.placeEntries({ entries: [{ kind: "directory", path: "/workspace", mode: 0o755 }] });
  return {
    child,
    directory: workspace,
    socketPath,
    session,
    complaints: () => complaints,
    async connect(kind) {
      const connection = await connectFrames(socketPath);
      await connection.read();
      if (kind === undefined) return connection;
      await connection.write(frameTypes.transfer);
      await connection.read();
      return connection;
    },
    async close() {
      close();
      const ended = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await ended;
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
