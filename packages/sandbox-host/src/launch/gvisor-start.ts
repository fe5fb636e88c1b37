/**
 * Becomes gVisor's runsc, as the sandbox's user and without a privilege: `node gvisor-start.js REQUEST`, a file that the
 * daemon wrote. Writes the bundle of the OCI runtime specification 1.0.2 first: config.json and an empty root of mount
 * points. The sandbox's only user is uid 0 of its own kernel, without capabilities: rootless runsc maps one host user,
 * and its files belong to that one.
 *
 * Installed as JavaScript where the sandbox's user can read it, with the one module that it imports.
 * @module
 */
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { HostTools } from "../configuration.ts";
import type { SandboxMake, SlotDirectories } from "../state.ts";
import * as confinement from "./confinement.ts";

/** Paths of the host. */
export interface GvisorRequest {
  /** Empty, and the sandbox's user's own, as `listen` is. */
  readonly own: string;
  readonly listen: string;
  readonly baseRoot: string | null;
  readonly tools: HostTools;
  readonly directories: SlotDirectories;
  readonly make: SandboxMake;
}

interface Mount {
  readonly path: string;
  readonly source: string;
  readonly writable: boolean;
}

const openFiles = 8192;
const filterPath = "/opt/exoloop/filter";
const socketPath = "/run/exoloop/supervisor.sock";
const mountPoints = ["proc", "sys", "dev/shm", "tmp", "home/agent"];

function systemEntries(baseRoot: string | null) {
  return confinement.systemNames.flatMap((name) => {
    const source = join(baseRoot ?? "/", name);
    const stat = lstatSync(source, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    return [{ name, source, link: stat.isSymbolicLink() ? readlinkSync(source) : null }];
  });
}

function listMounts({ listen, baseRoot, tools, directories }: GvisorRequest): Mount[] {
  const { guestPrograms } = confinement;
  const mount = (path: string, source: string, writable = false): Mount => ({ path, source, writable });
  return [
    ...systemEntries(baseRoot).flatMap(({ name, source, link }) => (link === null ? [mount(`/${name}`, source)] : [])),
    mount("/etc", tools.etc),
    ...["ssl/certs", "alternatives"].map((name) => mount(`/etc/${name}`, join(baseRoot ?? "/", "etc", name))),
    mount("/opt/exoloop/bin", tools.nodeDirectory),
    mount(guestPrograms.supervisor, tools.supervisor),
    mount(guestPrograms.confine, tools.confine),
    mount(guestPrograms.launch, join(tools.gvisor, "launch")),
    mount(guestPrograms.transfer, join(tools.gvisor, "transfer")),
    mount(filterPath, join(tools.gvisor, "filter")),
    mount("/workspace", directories.workspace, true),
    mount("/skills", directories.skills, true),
    mount("/memory", directories.memory, true),
    mount("/run/exoloop", listen, true),
  ].filter(({ source }) => existsSync(source));
}

/** Mount points and links. */
function makeRoot(root: string, baseRoot: string | null, mounts: readonly Mount[]): void {
  for (const name of mountPoints) mkdirSync(join(root, name), { recursive: true });
  for (const { path, source } of mounts) {
    const isDirectory = lstatSync(source).isDirectory();
    mkdirSync(join(root, path, isDirectory ? "." : ".."), { recursive: true });
    if (!isDirectory) writeFileSync(join(root, path), "");
  }
  for (const { name, link } of systemEntries(baseRoot)) if (link !== null) symlinkSync(link, join(root, name));
  for (const [path, target] of Object.entries(confinement.aliases)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    symlinkSync(target, join(root, path));
  }
}

/** The text of config.json. */
function describeBundle(root: string, mounts: readonly Mount[], { resources, environment }: SandboxMake): string {
  const limits = { RLIMIT_NOFILE: openFiles, RLIMIT_FSIZE: resources.diskBytes, RLIMIT_CORE: 0 };
  const all = { ...confinement.commandEnvironment("/opt/exoloop/bin", confinement.usualPlaces), ...environment };
  const sizes = confinement.memoryFiles(resources);
  const temporary = (destination: string, bytes: number, mode: string) => {
    return {
      destination,
      type: "tmpfs",
      source: "tmpfs",
      options: [`size=${bytes}`, `mode=${mode}`, "nosuid", "nodev"],
    };
  };
  return JSON.stringify({
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: [
        ...[confinement.guestPrograms.confine, "--seccomp-file", filterPath, "--"],
        ...[confinement.guestPrograms.supervisor, socketPath, "0", "0"],
        ...[confinement.guestPrograms.launch, confinement.guestPrograms.transfer],
      ],
      env: Object.entries(all).map(([name, value]) => `${name}=${value}`),
      cwd: "/",
      capabilities: { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] },
      noNewPrivileges: true,
      rlimits: Object.entries(limits).map(([type, limit]) => ({ type, hard: limit, soft: limit })),
    },
    root: { path: root, readonly: true },
    hostname: "sandbox",
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      ...mounts.map(({ path, source, writable }) => ({
        destination: path,
        type: "bind",
        source,
        options: ["bind", writable ? "rw" : "ro", "nosuid", "nodev"],
      })),
      temporary("/tmp", sizes.temporary, "1777"),
      temporary("/home/agent", sizes.home, "0700"),
      temporary("/dev/shm", sizes.shared, "1777"),
    ],
    linux: { namespaces: ["pid", "network", "ipc", "uts", "mount"].map((type) => ({ type })) },
  });
}

/**
 * Sockets that the sandbox binds in its mounts exist on the host (`create`), those of the host cannot be connected to
 * from inside.
 */
function becomeRunsc({ tools, directories }: GvisorRequest, state: string, bundle: string): void {
  const words = [
    ...["runsc", "--root", state, "--rootless", "--network=none", "--ignore-cgroups", "--platform=systrap"],
    ...["--overlay2=none", "--host-uds=create", "run", "--bundle", bundle, directories.slot],
  ];
  process.execve?.(tools.runsc, words, { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" });
}

if (import.meta.main) {
  const request = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as GvisorRequest;
  const [root, state] = [join(request.own, "root"), join(request.own, "state")];
  const mounts = listMounts(request);
  process.umask(0o022);
  for (const made of [root, state]) mkdirSync(made);
  makeRoot(root, request.baseRoot, mounts);
  writeFileSync(join(request.own, "config.json"), describeBundle(root, mounts, request.make));
  becomeRunsc(request, state, request.own);
}
