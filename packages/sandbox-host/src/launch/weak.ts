/** `--sandbox weak`: the host's own root, held by user id, Landlock and the system call filter only. @module */
import { ownedDirectories } from "../state.ts";
import { bubblewrapLauncher } from "./bubblewrap.ts";
import * as confinement from "./confinement.ts";
import type { LaunchRequest, Launcher } from "./launcher.ts";

const readable = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/dev"];
const devices = ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts"].map((name) => `/dev/${name}`);

function weakArguments(request: LaunchRequest): string[] {
  const { configuration, directories } = request;
  return [
    ...confinement.confineArguments(request, false),
    ...[...readable, configuration.tools.directory].flatMap((path) => ["--readable", path]),
    ...[...ownedDirectories(directories), ...devices].flatMap((path) => ["--writable", path]),
    ...["--", configuration.tools.supervisor, ...confinement.supervisorArguments(request, configuration.tools, false)],
  ];
}

export const weakLauncher: Launcher = {
  ...bubblewrapLauncher,
  mappings: ({ workspace, skills, memory, home }) => ({
    "/workspace": workspace,
    "/skills": skills,
    "/memory": memory,
    "/home/agent": home,
  }),
  prepare(request) {
    const { configuration, directories, make } = request;
    const { home, workspace, skills, memory, temporary } = directories;
    const places = { HOME: home, WORKSPACE: workspace, SKILLS: skills, MEMORY: memory, TMPDIR: temporary };
    return {
      program: configuration.tools.confine,
      programArguments: weakArguments(request),
      environment: {
        ...confinement.commandEnvironment(configuration.tools.nodeDirectory, places),
        ...make.environment,
      },
    };
  },
};
