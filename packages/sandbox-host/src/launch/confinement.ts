/** What all runtimes give a supervisor: its environment, its limits, its arguments. @module */
import { release } from "node:os";
import type { SandboxResources } from "@exoloop/sandbox/contract";
import type { LaunchRequest } from "./launcher.ts";

const basePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Of the host's root or the base root: directories, or links into /usr. */
export const systemNames = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

export const guestPrograms = {
  supervisor: "/opt/exoloop/supervisor",
  confine: "/opt/exoloop/confine",
  launch: "/opt/exoloop/launch",
  transfer: "/opt/exoloop/transfer",
} as const;

/** Of C.UTF-8 only its characters differ from C: so a shell reads one file as it starts, and not twelve. */
export function commandEnvironment(toolPath: string, places: Readonly<Record<string, string>>): Record<string, string> {
  return { PATH: `${basePath}:${toolPath}`, USER: "agent", LANG: "C", LC_CTYPE: "C.UTF-8", ...places };
}

export const usualPlaces = { HOME: "/home/agent", WORKSPACE: "/workspace", SKILLS: "/skills", MEMORY: "/memory" };

/**
 * Other names of stored memory that models know, as links: from where, to where. Which memory is the default one its
 * user says, by a link in turn.
 */
export const aliases: Readonly<Record<string, string>> = { "/mnt/memory": "/memory", "/memories": "/memory/.default" };

/** Before Linux 5.14 the limit counted all processes of a user, in whatever user namespace they were. */
function isLimitPerNamespace(): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return major > 5 || (major === 5 && minor >= 14);
}

/** The kernel's own limit is exact only where nothing else has the user id, or the namespace counts for itself. 0: none. */
function processLimit({ make, userId }: LaunchRequest, ownNamespace: boolean): number {
  const counts = userId !== null || (ownNamespace && isLimitPerNamespace());
  return counts ? make.resources.processes : 0;
}

/** Arguments of `confine`, up to the program that it becomes. */
export function confineArguments(request: LaunchRequest, ownNamespace: boolean): string[] {
  const { descriptors, make } = request;
  const processes = processLimit(request, ownNamespace);
  return [
    ...["--seccomp", String(descriptors.filter), "--file-bytes", String(make.resources.diskBytes)],
    ...(processes > 0 ? ["--processes", String(processes)] : []),
  ];
}

/** Of what the supervisor starts, inside. */
type StartedPrograms = Readonly<Record<"launch" | "transfer", string>>;

/** Arguments of the supervisor where it inherits its socket. */
export function supervisorArguments(
  request: LaunchRequest,
  programs: StartedPrograms,
  ownNamespace: boolean,
): string[] {
  const { listen, work } = request.descriptors;
  const numbers = [listen ?? -1, work, processLimit(request, ownNamespace)].map(String);
  return [...numbers, programs.launch, programs.transfer];
}

/** Sizes of the file systems in memory: together less than the workload's memory, which they are counted as. */
export function memoryFiles({ memoryBytes }: SandboxResources): Record<"temporary" | "home" | "shared", number> {
  const part = (most: number, share: number): number => Math.min(most, Math.floor(memoryBytes / share));
  return { temporary: part(512 << 20, 2), home: part(512 << 20, 4), shared: part(64 << 20, 8) };
}
