/** Starts a sandbox's supervisor, confined, with its listening socket as a descriptor. @module */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, linkSync, lstatSync, openSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { type Server, createServer } from "node:net";
import { release } from "node:os";
import type { CreateSandboxRequest } from "@exoloop/sandbox/contract";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { type SandboxCgroups, closeAll, openEntrances } from "./cgroups.ts";
import type { HostConfiguration } from "./configuration.ts";
import type { SandboxDirectories } from "./state.ts";

export const namespaceRemedy =
  "Start this container with --security-opt seccomp=unconfined --security-opt systempaths=unconfined, use another" +
  " sandbox provider, or try things out with --sandbox weak.";

/** The daemon's own descriptors in the supervisor; cgroup entrances follow. */
const listenDescriptor = 3;
const filterDescriptor = 4;
const firstEntrance = 5;
const guestSupervisor = "/opt/exoloop/supervisor";
const basePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const temporaryBytes = 512 << 20;
const homeBytes = 512 << 20;
const sharedMemoryBytes = 64 << 20;
/**
 * What one user id may have: the workload's processes, and as many threads of the supervisor, which has one for each
 * command whose output somebody still holds. The exact limit is the cgroup's.
 */
function processLimit({ processes }: CreateSandboxRequest["resources"]): number {
  return 2 * processes + 64;
}

/** Before Linux 5.14 the limit counted all processes of a user, in whatever user namespace they were. */
function isLimitPerNamespace(): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return major > 5 || (major === 5 && minor >= 14);
}

export interface Launch {
  readonly child: ChildProcess;
  /** Null once the launcher has ended: why it did, for an error. */
  readonly failure: Promise<Error>;
}

function environmentOf(configuration: HostConfiguration, directories: SandboxDirectories): Record<string, string> {
  const weak = configuration.mode === "weak";
  return {
    PATH: `${basePath}:${weak ? configuration.tools.nodeDirectory : "/opt/exoloop/bin"}`,
    HOME: weak ? directories.home : "/home/agent",
    USER: "agent",
    LANG: "C.UTF-8",
    WORKSPACE: weak ? directories.workspace : "/workspace",
    SKILLS: weak ? directories.skills : "/skills",
    MEMORY: weak ? directories.memory : "/memory",
    ...(weak ? { TMPDIR: directories.temporary } : {}),
  };
}

/** /bin, /lib and so on, as they are on the host: links into /usr, or directories of their own. */
function systemDirectories(): string[] {
  const shown: string[] = ["--ro-bind", "/usr", "/usr"];
  for (const name of ["bin", "sbin", "lib", "lib32", "lib64", "libx32"]) {
    const path = `/${name}`;
    if (!existsSync(path)) continue;
    if (lstatSync(path).isSymbolicLink()) shown.push("--symlink", readlinkSync(path), path);
    else shown.push("--ro-bind", path, path);
  }
  return shown;
}

function sizedTemporary(path: string, mode: string, bytes: number): string[] {
  return ["--perms", mode, "--size", String(bytes), "--tmpfs", path];
}

function bubblewrapArguments(configuration: HostConfiguration, directories: SandboxDirectories): string[] {
  const { tools } = configuration;
  return [
    ...["--unshare-all", "--unshare-user", "--disable-userns", "--new-session", "--as-pid-1", "--cap-drop", "ALL"],
    ...["--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--clearenv"],
    ...systemDirectories(),
    ...["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"],
    ...sizedTemporary("/dev/shm", "1777", sharedMemoryBytes),
    ...["--remount-ro", "/dev"],
    ...sizedTemporary("/tmp", "1777", temporaryBytes),
    ...sizedTemporary("/home/agent", "0700", homeBytes),
    ...["--ro-bind", tools.etc, "/etc", "--ro-bind-try", "/etc/ssl/certs", "/etc/ssl/certs"],
    ...[
      "--ro-bind-try",
      "/etc/alternatives",
      "/etc/alternatives",
      "--ro-bind-try",
      "/etc/ld.so.cache",
      "/etc/ld.so.cache",
    ],
    ...["--ro-bind", tools.nodeDirectory, "/opt/exoloop/bin", "--ro-bind", tools.supervisor, guestSupervisor],
    ...["--bind", directories.workspace, "/workspace", "--bind", directories.skills, "/skills"],
    ...["--bind", directories.memory, "/memory", "--chdir", "/workspace", "--remount-ro", "/"],
  ];
}

const weakReadable = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/dev"];
const weakDevices = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

function weakArguments(configuration: HostConfiguration, directories: SandboxDirectories): string[] {
  const { workspace, skills, memory, home, temporary } = directories;
  return [
    ...[...weakReadable, configuration.tools.directory].flatMap((path) => ["--readable", path]),
    ...[workspace, skills, memory, home, temporary, ...weakDevices].flatMap((path) => ["--writable", path]),
    ...["--map", `/workspace=${workspace}`, "--map", `/skills=${skills}`, "--map", `/memory=${memory}`],
    ...["--map", `/home/agent=${home}`],
  ];
}

interface Listener {
  readonly descriptor: number;
  close(): void;
}

/**
 * Listens at `path`, to hand the socket to a child. Node removes a socket's name when it closes its copy, so the name
 * that stays is a second link.
 */
function listen(path: string): Promise<Listener> {
  const server: Server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(`${path}.new`, () => {
      const handle: unknown = "_handle" in server ? server._handle : null;
      const descriptor = typeof handle === "object" && handle !== null && "fd" in handle ? handle.fd : null;
      if (typeof descriptor !== "number") return reject(new Error("this Node does not tell a socket's descriptor"));
      linkSync(`${path}.new`, path);
      resolve({ descriptor, close: () => void server.close() });
    });
  });
}

/** What went wrong, from what the launcher wrote before it ended. */
export function explainLaunchFailure(code: number | null, log: string): Error {
  const text = log.trim().split("\n").slice(-3).join(" ").slice(0, 500);
  const denied = /namespace|Operation not permitted|Permission denied|mount proc|uid map|No space left/i.test(text);
  const message = `the sandbox did not start (${code === null ? "killed" : `exit ${code}`}): ${text || "no message"}`;
  return new SandboxUnavailableError(message, denied ? namespaceRemedy : "Run `exoloop doctor`.");
}

/** The child outlives the daemon. The caller connects to `directories.socket` and waits for the hello. */
export async function launchSandbox(
  configuration: HostConfiguration,
  directories: SandboxDirectories,
  cgroups: SandboxCgroups,
  userId: number | null,
  request: CreateSandboxRequest,
): Promise<Launch> {
  rmSync(directories.socket, { force: true });
  const listener = await listen(directories.socket);
  const entrances = openEntrances(cgroups);
  const log = openSync(directories.log, "w", 0o600);
  const filter = openSync(configuration.tools.filter, "r");
  const join = entrances.join.flatMap((_, index) => ["--join", String(firstEntrance + index)]);
  const firstWork = firstEntrance + entrances.join.length;
  const work = entrances.work.flatMap((_, index) => ["--work", String(firstWork + index)]);
  const supervisor = [
    ...["--listen", String(listenDescriptor), "--seccomp", String(filterDescriptor), ...join, ...work],
    ...["--file-bytes", String(request.resources.diskBytes)],
    ...(userId !== null || (configuration.launcher !== null && isLimitPerNamespace())
      ? ["--processes", String(processLimit(request.resources))]
      : []),
  ];
  const environment = { ...environmentOf(configuration, directories), ...request.environment };
  const [program, programArguments, programEnvironment] =
    configuration.launcher === null
      ? [configuration.tools.supervisor, [...supervisor, ...weakArguments(configuration, directories)], environment]
      : [
          configuration.launcher,
          [
            ...bubblewrapArguments(configuration, directories),
            ...Object.entries(environment).flatMap(([name, value]) => ["--setenv", name, value]),
            ...["--", guestSupervisor, ...supervisor],
          ],
          {},
        ];
  try {
    const child = spawn(program, programArguments, {
      cwd: "/",
      detached: true,
      env: programEnvironment,
      stdio: ["ignore", log, log, listener.descriptor, filter, ...entrances.join, ...entrances.work],
      ...(userId === null ? {} : { uid: userId, gid: userId }),
    });
    child.unref();
    const failure = new Promise<Error>((resolve) => {
      child.once("error", (error) => resolve(explainLaunchFailure(null, error.message)));
      child.once("exit", (code) => resolve(explainLaunchFailure(code, readLog(directories.log))));
    });
    return { child, failure };
  } finally {
    listener.close();
    closeAll([log, filter, ...entrances.join, ...entrances.work]);
  }
}

function readLog(path: string): string {
  try {
    return readFileSync(path, "utf8").slice(-4000);
  } catch {
    return "";
  }
}
