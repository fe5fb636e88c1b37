/**
 * What gVisor's runsc starts a sandbox from: a bundle of the OCI runtime specification 1.0.2 (config.json and an empty
 * root of mount points). The sandbox's only user is uid 0 of its own kernel, without capabilities: rootless runsc maps
 * one host user, and its files belong to that one.
 * @module
 */

export interface GvisorMount {
  readonly path: string;
  readonly source: string;
  readonly writable: boolean;
}

export interface GvisorTemporary {
  readonly path: string;
  readonly bytes: number;
  /** Octal, as mount options have it. */
  readonly mode: string;
}

export interface GvisorBundle {
  /** Directory of mount points; read-only inside. */
  readonly root: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly mounts: readonly GvisorMount[];
  readonly temporaries: readonly GvisorTemporary[];
  /** Bytes of one file. */
  readonly fileBytes: number;
}

const openFiles = 8192;

/** The text of config.json. */
export function describeBundle(bundle: GvisorBundle): string {
  const limits = { RLIMIT_NOFILE: openFiles, RLIMIT_FSIZE: bundle.fileBytes, RLIMIT_CORE: 0 };
  return JSON.stringify({
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: bundle.command,
      env: Object.entries(bundle.environment).map(([name, value]) => `${name}=${value}`),
      cwd: "/",
      capabilities: { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] },
      noNewPrivileges: true,
      rlimits: Object.entries(limits).map(([type, limit]) => ({ type, hard: limit, soft: limit })),
    },
    root: { path: bundle.root, readonly: true },
    hostname: "sandbox",
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      ...bundle.mounts.map(({ path, source, writable }) => ({
        destination: path,
        type: "bind",
        source,
        options: ["bind", writable ? "rw" : "ro", "nosuid", "nodev"],
      })),
      ...bundle.temporaries.map(({ path, bytes, mode }) => ({
        destination: path,
        type: "tmpfs",
        source: "tmpfs",
        options: [`size=${bytes}`, `mode=${mode}`, "nosuid", "nodev"],
      })),
    ],
    linux: { namespaces: ["pid", "network", "ipc", "uts", "mount"].map((type) => ({ type })) },
  });
}

/**
 * Arguments of runsc. Sockets that the sandbox binds in its mounts exist on the host (`create`), those of the host cannot
 * be connected to from inside.
 */
export function runscArguments(
  stateDirectory: string,
  bundleDirectory: string,
  name: string,
  passed: { readonly outside: number; readonly inside: number },
): string[] {
  return [
    ...["--root", stateDirectory, "--rootless", "--network=none", "--ignore-cgroups", "--platform=systrap"],
    ...["--overlay2=none", "--host-uds=create", "run", "--pass-fd", `${passed.outside}:${passed.inside}`],
    ...["--bundle", bundleDirectory, name],
  ];
}
