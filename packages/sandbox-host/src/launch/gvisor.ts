/** Sandboxes with a kernel of their own in user space: gVisor's runsc, without root. @module */
import { execFileSync } from "node:child_process";
import { chownSync, existsSync, lstatSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCpuLimit, hasResourceLimits } from "../cgroup-host.ts";
import { findProgram, type HostConfiguration, install } from "../configuration.ts";
import { bubblewrapLauncher, systemNames } from "./bubblewrap.ts";
import * as confinement from "./confinement.ts";
import { type GvisorMount, describeBundle, runscArguments } from "./gvisor-bundle.ts";
import type { Availability, LaunchRequest, Launcher } from "./launcher.ts";

const fetched = join(import.meta.dirname, "../../../../build/gvisor/runsc");
/** Older ones refuse flags of stat(2) that `ls` and Python use. */
export const oldestUsable = 20_230_501;
export const gvisorRemedy = "Run: node scripts/setup/gvisor.mjs";
const mountPoints = ["proc", "sys", "dev", "tmp", "etc", "run/exoloop", "home/agent", "workspace", "skills", "memory"];
const socketPath = "/run/exoloop/supervisor.sock";
const innerFilter = 3;
/** Of the workload's groups. */
const firstEntrance = 3;
/** gVisor's own memory counts as the sandbox's: its kernel, its file server and what they cache. */
const ownMemoryBytes = 96 << 20;
/** Every thread of the workload is one of the host's, and its kernel has some of its own. */
const threadsPerProcess = 8;
const ownThreads = 256;

function runscOf(configuration: HostConfiguration): string {
  return join(configuration.tools.directory, "runsc");
}

/** The one that set-up has fetched, else the machine's own. */
export function findRunsc(): string | null {
  return existsSync(fetched) ? fetched : findProgram("runsc");
}

/** Installs it where the sandboxes' users can execute it. */
async function availability(configuration: HostConfiguration): Promise<Availability> {
  const refuse = (reason: string) =>
    ({ available: false, reason: `gVisor's runsc ${reason}`, remedy: gvisorRemedy }) as const;
  const source = findRunsc();
  if (source === null) return refuse("is not installed");
  try {
    const text = execFileSync(source, ["--version"], { encoding: "utf8" });
    const date = Number(/(20\d{6})/.exec(text)?.[1] ?? 0);
    if (date < oldestUsable) return refuse(`of ${date} is too old`);
    install(source, runscOf(configuration), 0o755);
    makeRoot(configuration);
    return { available: true };
  } catch (error) {
    return refuse(`does not run: ${String(error).split("\n")[0]}`);
  }
}

function rootOf(configuration: HostConfiguration): string {
  return join(configuration.tools.directory, "gvisor-root");
}

/** Mount points and links: read-only, and the same for all. */
function makeRoot(configuration: HostConfiguration): void {
  const root = rootOf(configuration);
  for (const name of [...mountPoints, "opt/exoloop/bin"]) mkdirSync(join(root, name), { recursive: true, mode: 0o755 });
  for (const name of ["supervisor", "confine", "launch"])
    writeFileSync(join(root, "opt/exoloop", name), "", { mode: 0o755 });
  for (const { name, link } of systemEntries(configuration)) {
    const path = join(root, name);
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) continue;
    if (link === null) mkdirSync(path, { mode: 0o755 });
    else symlinkSync(link, path);
  }
}

function systemEntries({ baseRoot }: HostConfiguration) {
  return systemNames.flatMap((name) => {
    const source = join(baseRoot ?? "/", name);
    const stat = lstatSync(source, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    return [{ name, source, link: stat.isSymbolicLink() ? readlinkSync(source) : null }];
  });
}

function mountsOf({ configuration, directories }: LaunchRequest, listenDirectory: string): GvisorMount[] {
  const { tools, baseRoot } = configuration;
  const mount = (path: string, source: string, writable = false): GvisorMount => ({ path, source, writable });
  const system = systemEntries(configuration).filter(({ link }) => link === null);
  return [
    ...system.map(({ name, source }) => mount(`/${name}`, source)),
    mount("/etc", tools.etc),
    ...["ssl/certs", "alternatives"].map((name) => mount(`/etc/${name}`, join(baseRoot ?? "/", "etc", name))),
    mount("/opt/exoloop/bin", tools.nodeDirectory),
    mount(confinement.guestPrograms.supervisor, tools.supervisor),
    mount(confinement.guestPrograms.confine, tools.confine),
    mount(confinement.guestPrograms.launch, join(placesOf(directories.root).base, "launch")),
    mount("/workspace", directories.workspace, true),
    mount("/skills", directories.skills, true),
    mount("/memory", directories.memory, true),
    mount("/run/exoloop", listenDirectory, true),
  ].filter(({ source }) => existsSync(source));
}

/** Directories below the slot's: the bundle is the daemon's own, state and socket the sandbox's user's. */
function placesOf(root: string) {
  const base = join(root, "gvisor");
  return { base, state: join(base, "state"), listen: join(base, "listen") };
}

function writeBundle(request: LaunchRequest): void {
  const { directories, make, userId } = request;
  const { base, state, listen } = placesOf(directories.root);
  mkdirSync(base, { mode: 0o711 });
  // What is to run in it must be readable for the user that it runs as.
  install(request.configuration.tools.launch, join(base, "launch"), 0o755);
  for (const made of [state, listen]) {
    mkdirSync(made, { mode: 0o700 });
    if (userId !== null) chownSync(made, userId, userId);
  }
  const sizes = confinement.memoryFiles(make.resources);
  const text = describeBundle({
    root: rootOf(request.configuration),
    command: [
      ...[confinement.guestPrograms.confine, "--seccomp", String(innerFilter), "--"],
      ...[confinement.guestPrograms.supervisor, "--listen-path", socketPath],
      ...["--launch", confinement.guestPrograms.launch],
    ],
    environment: {
      ...confinement.commandEnvironment("/opt/exoloop/bin", confinement.usualPlaces),
      ...make.environment,
    },
    mounts: mountsOf(request, listen),
    temporaries: [
      { path: "/tmp", bytes: sizes.temporary, mode: "1777" },
      { path: "/home/agent", bytes: sizes.home, mode: "0700" },
      { path: "/dev/shm", bytes: sizes.shared, mode: "1777" },
    ],
    fileBytes: make.resources.diskBytes,
  });
  writeFileSync(join(base, "config.json"), text, { mode: 0o644 });
}

export const gvisorLauncher: Launcher = {
  ...bubblewrapLauncher,
  runtime: "gvisor",
  suspends: "signals",
  filterOf: (tools) => tools.gvisorFilter,
  ownSocket: ({ root }) => join(placesOf(root).listen, "supervisor.sock"),
  limits: (resources) => ({
    ...resources,
    memoryBytes: resources.memoryBytes + ownMemoryBytes,
    processes: resources.processes * threadsPerProcess + ownThreads,
  }),
  description:
    "A Linux sandbox (gVisor) without network. /workspace is yours and is kept; /tmp and the home directory are not.",
  availability,
  capabilities: (configuration) => ({
    ...bubblewrapLauncher.capabilities(configuration),
    suspend: "signal",
    holes: false,
    isolation: "userspace-kernel",
    memoryLimit: hasResourceLimits(configuration.cgroups),
    processLimit: false,
    cpuLimit: hasCpuLimit(configuration.cgroups),
  }),
  prepare(request) {
    const { configuration, directories, descriptors } = request;
    writeBundle(request);
    const { base, state } = placesOf(directories.root);
    return {
      program: configuration.tools.confine,
      // All of it is workload to the host, entered last: its limits hold for gVisor's kernel too. No entrance stays open.
      programArguments: [
        ...Array.from({ length: descriptors.work }, (_, index) => ["--join", String(firstEntrance + index)]).flat(),
        ...["--", runscOf(configuration)],
        ...runscArguments(state, base, directories.slot, {
          outside: descriptors.filter,
          inside: innerFilter,
        }),
      ],
      environment: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    };
  },
};
