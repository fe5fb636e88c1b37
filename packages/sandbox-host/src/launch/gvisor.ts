/** Sandboxes with a kernel of their own in user space: gVisor's runsc, without root. @module */
import { chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bubblewrapLauncher } from "./bubblewrap.ts";
import type { GvisorRequest } from "./gvisor-start.ts";
import type { Launcher } from "./launcher.ts";

/** Of the workload's groups. */
const firstEntrance = 3;
/** gVisor's own memory counts as the sandbox's: its kernel, its file server and what they cache. */
const ownMemoryBytes = 96 << 20;
/** Every thread of the workload is one of the host's, and its kernel has some of its own. */
const threadsPerProcess = 8;
const ownThreads = 256;

export const gvisorLauncher: Launcher = {
  ...bubblewrapLauncher,
  runtime: "gvisor",
  suspends: "signals",
  ownSocket: ({ root }) => join(root, "gvisor", "listen", "supervisor.sock"),
  limits: (resources) => ({
    ...resources,
    memoryBytes: resources.memoryBytes + ownMemoryBytes,
    processes: resources.processes * threadsPerProcess + ownThreads,
  }),
  prepare({ configuration, descriptors, directories, make, userId }) {
    const { baseRoot, tools } = configuration;
    const base = join(directories.root, "gvisor");
    const [own, listen, path] = [join(base, "own"), join(base, "listen"), join(base, "request.json")];
    mkdirSync(base, { mode: 0o711 });
    for (const made of [own, listen]) {
      mkdirSync(made, { mode: 0o700 });
      if (userId !== null) chownSync(made, userId, userId);
    }
    const request: GvisorRequest = { own, listen, baseRoot, tools, directories, make };
    writeFileSync(path, JSON.stringify(request), { mode: 0o644 });
    // All of it is workload to the host, entered last: its limits hold for gVisor's kernel too. No entrance stays open.
    const work = Array.from({ length: descriptors.work }, (_, index) => firstEntrance + index);
    return {
      program: tools.confine,
      programArguments: [
        ...work.flatMap((entrance) => ["--join", String(entrance)]),
        ...["--", join(tools.nodeDirectory, "node"), "--disable-warning=ExperimentalWarning"],
        ...[join(tools.gvisor, "gvisor-start.js"), path],
      ],
      environment: {},
    };
  },
};
