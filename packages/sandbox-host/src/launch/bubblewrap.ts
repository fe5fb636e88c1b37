/** Sandboxes in namespaces of their own, made by bubblewrap. @module */
import { existsSync, lstatSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { HostConfiguration } from "../configuration.ts";
import * as confinement from "./confinement.ts";
import type { LaunchRequest, Launcher } from "./launcher.ts";

const { guestPrograms } = confinement;
/** What a base root has of its own under these names is not shown: the sandbox has others. */
const replacedNames = new Set(
  "proc sys dev run tmp etc home root boot mnt workspace skills memory memories".split(" "),
);

/** /usr, /bin, /lib and so on, as they are on the host or in the base root: directories, or links into /usr. */
function systemDirectories(baseRoot: string | null): string[] {
  const root = baseRoot ?? "/";
  const names =
    baseRoot === null ? confinement.systemNames : readdirSync(root).filter((name) => !replacedNames.has(name));
  return names.flatMap((name) => {
    const path = join(root, name);
    if (!existsSync(path)) return [];
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) return ["--symlink", readlinkSync(path), `/${name}`];
    return stat.isDirectory() ? ["--ro-bind", path, `/${name}`] : [];
  });
}

function sizedMemory(path: string, mode: string, bytes: number): string[] {
  return ["--perms", mode, "--size", String(bytes), "--tmpfs", path];
}

/** Everything that is the same for all sandboxes of a daemon. */
let unchanging: { readonly configuration: HostConfiguration; readonly system: readonly string[] } | null = null;

function systemOf(configuration: HostConfiguration): readonly string[] {
  if (unchanging?.configuration !== configuration)
    unchanging = { configuration, system: systemDirectories(configuration.baseRoot) };
  return unchanging.system;
}

function bubblewrapArguments({ configuration, directories, make }: LaunchRequest): string[] {
  const { tools, baseRoot } = configuration;
  const sizes = confinement.memoryFiles(make.resources);
  const etc = (name: string): string[] => ["--ro-bind-try", join(baseRoot ?? "/", "etc", name), `/etc/${name}`];
  return [
    ...["--unshare-all", "--unshare-user", "--disable-userns", "--new-session", "--as-pid-1", "--cap-drop", "ALL"],
    ...["--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--clearenv"],
    ...systemOf(configuration),
    ...["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"],
    ...sizedMemory("/dev/shm", "1777", sizes.shared),
    ...["--remount-ro", "/dev"],
    ...sizedMemory("/tmp", "1777", sizes.temporary),
    ...sizedMemory("/home/agent", "0700", sizes.home),
    ...["--ro-bind", tools.etc, "/etc", ...etc("ssl/certs"), ...etc("alternatives"), ...etc("ld.so.cache")],
    ...["--ro-bind", tools.nodeDirectory, "/opt/exoloop/bin"],
    ...["--ro-bind", tools.supervisor, guestPrograms.supervisor],
    ...["--ro-bind", tools.confine, guestPrograms.confine],
    ...["--ro-bind", tools.launch, guestPrograms.launch],
    ...["--ro-bind", tools.transfer, guestPrograms.transfer],
    ...["--bind", directories.workspace, "/workspace", "--bind", directories.skills, "/skills"],
    ...Object.entries(confinement.aliases).flatMap(([path, target]) => ["--symlink", target, path]),
    ...["--bind", directories.memory, "/memory", "--chdir", "/workspace", "--remount-ro", "/"],
  ];
}

export const bubblewrapLauncher: Launcher = {
  runtime: "bubblewrap",
  limits: (resources) => resources,
  ownSocket: () => null,
  suspends: "cgroup",
  mappings: () => ({}),
  prepare(request) {
    const { configuration, make } = request;
    const toolPath = "/opt/exoloop/bin";
    const environment = { ...confinement.commandEnvironment(toolPath, confinement.usualPlaces), ...make.environment };
    return {
      program: configuration.bubblewrap,
      programArguments: [
        ...bubblewrapArguments(request),
        ...Object.entries(environment).flatMap(([name, value]) => ["--setenv", name, value]),
        ...["--", guestPrograms.confine, ...confinement.confineArguments(request, true)],
        ...["--", guestPrograms.supervisor, ...confinement.supervisorArguments(request, guestPrograms, true)],
      ],
      environment: {},
    };
  },
};
