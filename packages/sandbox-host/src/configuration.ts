/** Where a host daemon keeps things, and what it gives every sandbox. @module */
import { createHash } from "node:crypto";
import {
  chmodSync,
  constants,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { type CgroupHost, type SuspendKind, attempt, discoverCgroups } from "./cgroup-host.ts";
import { type UserIdRange, findUserIds } from "./user-ids.ts";

export type HostMode = "auto" | "weak";

export interface HostConfiguration {
  readonly directory: string;
  readonly sandboxesDirectory: string;
  /** The sandboxes are not below `directory`: their users may not enter it. */
  readonly relocated: boolean;
  readonly mode: HostMode;
  /** Root gives every sandbox a user id of its own, one of these. Null: they have the daemon's. */
  readonly userIds: UserIdRange | null;
  /** The server's user, which may connect to supervisors; null: the daemon's own. */
  readonly ownerUserId: number | null;
  /** Shown to sandboxes instead of this machine's own root. */
  readonly baseRoot: string | null;
  readonly cgroups: CgroupHost;
  readonly tools: HostTools;
  /** Path of bubblewrap; empty where it is not installed. */
  readonly bubblewrap: string;
}

export interface HostTools {
  readonly supervisor: string;
  readonly confine: string;
  readonly launch: string;
  readonly transfer: string;
  /** In `nodeDirectory`, which every sandbox sees. */
  readonly probe: string;
  readonly nodeDirectory: string;
  readonly etc: string;
  readonly filter: string;
  /** What starts it, and what it shows inside beside the others. */
  readonly gvisor: string;
  /** Empty where there is none. */
  readonly runsc: string;
  /** Parent of all of these. */
  readonly directory: string;
}

export const bubblewrapRemedy = "apt-get install bubblewrap";

function canOthersEnter(path: string): boolean {
  for (let at = path; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (dirname(at) === at) return true;
  }
}

export function hashName(directory: string): string {
  return createHash("sha256").update(realpathSync(directory)).digest("hex").slice(0, 12);
}

/**
 * Where the sandboxes' files are: in the daemon's directory, unless the sandboxes' users may not pass through one of
 * its parents (root's home, say); then below /var/lib/exoloop, under a name derived from it.
 */
function placeSandboxes(directory: string, ownUserIds: boolean): string {
  if (!ownUserIds) return directory;
  chmodSync(directory, 0o711);
  return canOthersEnter(realpathSync(directory)) ? directory : join("/var/lib/exoloop/hosts", hashName(directory));
}

/** A file, or a directory with all that is in it. */
function install(source: string, target: string): string {
  if (existsSync(target)) return target;
  const temporary = `${target}.${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  cpSync(source, temporary, { recursive: true, mode: constants.COPYFILE_FICLONE });
  renameSync(temporary, target);
  return target;
}

/** Linked where that is possible: the program is larger than everything else together. */
function installNode(target: string): void {
  const readable = (statSync(process.execPath).mode & 0o005) === 0o005;
  const linked = existsSync(target) || (readable && attempt(() => linkSync(process.execPath, target)));
  if (!linked) chmodSync(install(process.execPath, target), 0o755);
}

/** Under a name that says what is in it: running sandboxes keep theirs when a newer one comes. */
function prepareTools({ programs, mode, runsc }: HostOptions, parent: string): HostTools {
  const directory = join(parent, "tools");
  const nodeDirectory = join(directory, `node-${process.version}`);
  mkdirSync(nodeDirectory, { recursive: true, mode: 0o755 });
  if (!existsSync(programs)) {
    const remedy = "Build it: node packages/sandbox-host/src/host-build.ts";
    throw new SandboxUnavailableError(`${programs} is missing`, remedy);
  }
  const version = basename(programs);
  const installed = install(programs, join(directory, version));
  const [launch, transfer] = [join(installed, "launch"), join(installed, "transfer")];
  // Who may not read it may not write into a process of it either.
  for (const closed of [launch, transfer]) chmodSync(closed, 0o711);
  installNode(join(nodeDirectory, "node"));
  return {
    supervisor: join(installed, "supervisor"),
    confine: join(installed, "confine"),
    launch,
    transfer,
    probe: install(join(programs, "probe"), join(nodeDirectory, `probe-${version}`)),
    filter: join(installed, `${mode}.bpf`),
    etc: join(installed, "etc"),
    gvisor: join(installed, "gvisor"),
    runsc: runsc === "" ? runsc : install(runsc, join(directory, "runsc")),
    nodeDirectory,
    directory,
  };
}

/** A base root stands in for the host's own: nobody but root may change what every sandbox runs. */
function checkBaseRoot(path: string): string {
  const remedy = "Give the directory of a root file system that only root can write to.";
  const refuse = (problem: string): never => {
    throw new SandboxUnavailableError(`--base-root ${path} ${problem}`, remedy);
  };
  if (!path.startsWith("/") || !existsSync(path) || realpathSync(path) !== path)
    refuse("is not an absolute path free of links");
  if (path === "/") refuse("is this machine's own root");
  const { uid, mode } = statSync(path);
  const own = process.getuid?.() ?? 0;
  if ((uid !== 0 && uid !== own) || (mode & 0o022) !== 0) refuse("can be written to by others");
  if (!existsSync(join(path, "usr")) || !["bin/sh", "usr/bin/sh"].some((shell) => existsSync(join(path, shell))))
    refuse("has no /usr, or no shell");
  return path;
}

export interface HostOptions {
  readonly directory: string;
  /** Where `supervisor`, `confine` and the filters are, as host-build.ts makes them. */
  readonly programs: string;
  readonly mode: HostMode;
  readonly suspend: SuspendKind | undefined;
  readonly ownerUserId: number | null;
  readonly baseRoot: string | null;
  readonly endsWithInput: boolean;
  /** Paths of the machine's own programs; empty where there is none. */
  readonly bubblewrap: string;
  readonly runsc: string;
}

/** @throws SandboxUnavailableError naming what is missing. */
export function configureHost(options: HostOptions): HostConfiguration {
  const { directory, mode } = options;
  if (process.platform !== "linux") {
    throw new SandboxUnavailableError("the local sandbox needs Linux", "Use another sandbox provider on this machine.");
  }
  const userIds = findUserIds(readFileSync("/proc/self/uid_map", "utf8"), process.getuid?.() ?? 0);
  const root = placeSandboxes(directory, userIds !== null);
  const sandboxesDirectory = join(root, "sandboxes");
  mkdirSync(sandboxesDirectory, { recursive: true, mode: 0o711 });
  return {
    directory,
    sandboxesDirectory,
    mode,
    userIds,
    // Only root can give a directory away.
    ownerUserId: userIds === null ? null : options.ownerUserId,
    baseRoot: options.baseRoot === null ? null : checkBaseRoot(options.baseRoot),
    relocated: root !== directory,
    cgroups: discoverCgroups(`exoloop-${hashName(directory)}`, options.suspend),
    tools: prepareTools(options, root),
    bubblewrap: options.bubblewrap,
  };
}
