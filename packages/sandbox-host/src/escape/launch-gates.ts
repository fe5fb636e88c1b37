/** Gates: how the sandbox was really started, seen from the host. @module */
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Gate } from "./gate.ts";
import { launcherArguments, newSandboxRequest, statusField } from "./target.ts";

const requiredFlags = [
  "--unshare-all",
  "--unshare-user",
  "--disable-userns",
  "--new-session",
  "--as-pid-1",
  "--clearenv",
];
const lines = (fact: string): string[] => fact.split("\n");
const without = (fact: string, word: string): string =>
  lines(fact)
    .filter((each) => each !== word)
    .join("\n");

function hasPair(words: readonly string[], first: string, second: string): boolean {
  return words.some((word, index) => word === first && words[index + 1] === second);
}

const launcherFlags: Gate = {
  id: "gate-launcher-flags",
  scenario: 5,
  sentence: "the launcher was started without one of its walls",
  observe: async ({ inside }) => launcherArguments(inside).join("\n"),
  holds(fact) {
    const words = lines(fact);
    const capabilities = hasPair(words, "--cap-drop", "ALL") && !words.includes("--cap-add");
    const settings = words.join(" ").includes("--ro-bind /proc/sys /proc/sys");
    return (
      requiredFlags.every((flag) => words.includes(flag)) && capabilities && settings && !words.includes("--share-net")
    );
  },
  controls: (fact) => [
    ...[...requiredFlags, "--cap-drop", "/proc/sys"].map((word) => without(fact, word)),
    `--cap-add\nALL\n${fact}`,
    `--share-net\n${fact}`,
  ],
};

interface Bind {
  readonly source: string;
  readonly target: string;
  readonly writable: boolean;
}

function parseBinds(fact: string): Bind[] {
  const words = lines(fact);
  return words.flatMap((word, index) => {
    const match = /^--(ro-|dev-)?bind(-try)?$/.exec(word);
    if (match === null) return [];
    return [{ source: words[index + 1] ?? "", target: words[index + 2] ?? "", writable: match[1] !== "ro-" }];
  });
}

/** Programs, certificates, and what belongs to the sandbox. Everything else of the host is not shown. */
const shownSystem =
  /^\/(usr|bin|sbin|lib|lib32|lib64|libx32|proc\/sys|etc\/ssl\/certs|etc\/alternatives|etc\/ld\.so\.cache)$/;
/** The daemon's copies of our own, below the version that they belong to. */
const ownPrograms = /\/tools\/(node-v[\d.]+|[0-9a-f]{16}\/(supervisor|confine|launch|transfer|etc))$/;
const ownTargets = ["/workspace", "/skills", "/memory"];

/** Also among what is directly in it: a runtime's socket is shown by its directory just as well. */
function holdsSocket(path: string): boolean {
  if (!existsSync(path)) return false;
  const isSocket = (each: string): boolean => existsSync(each) && lstatSync(each).isSocket();
  if (isSocket(path)) return true;
  return lstatSync(path).isDirectory() && readdirSync(path).some((name) => isSocket(join(path, name)));
}

const mountSources: Gate = {
  id: "gate-mount-sources",
  scenario: 2,
  sentence:
    "a directory of the host is shown that is neither the system's programs nor the sandbox's own, or has a socket",
  observe: async ({ inside }) => launcherArguments(inside).join("\n"),
  holds(fact) {
    const binds = parseBinds(fact);
    return (
      binds.length > 0 &&
      binds.every(({ source, target, writable }) => {
        if (holdsSocket(source)) return false;
        if (writable) return ownTargets.includes(target) && /\/sandboxes\/[^/]+\/[a-z]+$/.test(source);
        return shownSystem.test(source) || ownPrograms.test(source);
      })
    );
  },
  controls: (fact) =>
    [
      "--bind\n/etc\n/workspace",
      "--ro-bind\n/\n/host",
      "--ro-bind\n/run\n/run",
      "--ro-bind\n/var/lib/tools/secrets\n/opt/secrets",
      "--bind\n/usr\n/usr",
      "--dev-bind\n/dev\n/dev",
    ].map((words) => `${words}\n${fact}`),
};

const mountTable: Gate = {
  id: "gate-mount-table",
  scenario: 3,
  sentence: "the table of mounts has a writable one that nobody meant",
  async observe({ inside }) {
    const rows = readFileSync(`/proc/${inside}/mountinfo`, "utf8").trim().split("\n");
    return rows.map((row) => `${row.split(" ")[4]} ${row.split(" ")[5]?.split(",")[0]}`).join("\n");
  },
  holds(fact) {
    const allowed =
      /^(\/workspace|\/skills|\/memory|\/tmp|\/home\/agent|\/proc|\/dev\/(shm|pts|null|zero|full|random|urandom|tty|console)) rw$/;
    return lines(fact).length > 5 && lines(fact).every((row) => row.endsWith(" ro") || allowed.test(row));
  },
  controls: (fact) => [`${fact}\n/etc rw`, `${fact}\n/proc/sys rw`, fact.replace("/ ro", "/ rw"), ""],
};

const userIds: Gate = {
  id: "gate-user-ids",
  scenario: null,
  sentence: "on the host, the sandbox has root's user id, ours, or its neighbour's",
  observe: async ({ inside, insideNeighbour }) =>
    [inside, insideNeighbour, process.pid].map((pid) => statusField(pid, "Uid").split(/\s+/)[0] ?? "").join(" "),
  holds(fact) {
    const ids = fact.split(" ");
    return ids.every((id) => /^\d+$/.test(id)) && new Set(ids).size === 3 && ids[0] !== "0" && ids[1] !== "0";
  },
  controls: () => ["0 1879048192 1000", "1000 1879048192 1000", "1879048192 1879048192 0", "1879048193  0"],
};

const capabilities: Gate = {
  id: "gate-capabilities",
  scenario: 1,
  sentence: "seen from the host, the sandbox has a capability, no filter, or may gain privileges",
  observe: async ({ inside }) =>
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"]
      .map((name) => statusField(inside, name))
      .join(" "),
  holds: (fact) => /^(0{16} ){5}1 2$/.test(fact),
  controls: (fact) => [fact.replace(/0 1 2$/, "1 1 2"), fact.replace(/1 2$/, "0 2"), fact.replace(/2$/, "0"), ""],
};

/** The numbers that hold memory and processes, in either version of control groups. */
function limitOf(pid: number, controller: "memory" | "pids", names: readonly string[]): string {
  const rows = readFileSync(`/proc/${pid}/cgroup`, "utf8")
    .trim()
    .split("\n")
    .map((row) => row.split(":"));
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  for (const [, controllers = "", path = ""] of rows) {
    const kind = controllers === "" ? " - cgroup2 " : ` - cgroup `;
    if (controllers !== "" && !controllers.split(",").includes(controller)) continue;
    const mount = mounts.find(
      (row) => row.includes(kind) && (controllers === "" || row.split(",").includes(controller)),
    );
    for (const name of names) {
      const file = join(mount?.split(" ")[4] ?? "", path, name);
      if (mount !== undefined && existsSync(file)) return readFileSync(file, "utf8").trim();
    }
  }
  return "";
}

function limitGate(id: string, controller: "memory" | "pids", names: readonly string[], most: number): Gate {
  return {
    id,
    scenario: null,
    sentence: `no control group limits the sandbox's ${controller === "memory" ? "memory" : "processes"}`,
    observe: async ({ inside }) => limitOf(inside, controller, names),
    holds: (fact) => /^\d+$/.test(fact) && Number(fact) <= most,
    controls: () => ["max", "9223372036854771712", ""],
  };
}

/** Of every file that is shown for reading beside the system's own directories. */
export function hashShownFiles(inside: number): string {
  const sources = parseBinds(launcherArguments(inside).join("\n"))
    .filter(({ source, writable }) => !writable && existsSync(source))
    .flatMap(({ source }) => (lstatSync(source).isFile() ? [source] : []));
  return [...sources, "/usr/bin/env"]
    .map((path) => `${path} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`)
    .join("\n");
}

const unchangedFiles: Gate = {
  id: "gate-unchanged-files",
  scenario: 12,
  sentence: "a file that the sandbox may only read has changed while the probes ran",
  observe: async ({ inside, hashesBefore }) => JSON.stringify([hashesBefore, hashShownFiles(inside)]),
  holds(fact) {
    const hashes: unknown = JSON.parse(fact);
    return (
      Array.isArray(hashes) &&
      hashes.length === 2 &&
      hashes[0] === hashes[1] &&
      String(hashes[0]).includes("supervisor")
    );
  },
  controls: () => [JSON.stringify(["/opt/supervisor 1", "/opt/supervisor 2"]), JSON.stringify(["", ""])],
};

/** CVE-2022-0811: a setting of the kernel smuggled in as an option of a sandbox. */
const smuggledOptions: Gate = {
  id: "gate-options",
  scenario: 16,
  sentence: "a sandbox can be ordered with an environment that is none, and with it an option that nobody offers",
  async observe({ target }) {
    const hostile = ["kernel.core_pattern=|/x", "A+B", "A=B", "", "A\0B", "--cap-add"];
    const answers: string[] = [];
    for (const name of hostile) {
      const request = newSandboxRequest({ [name]: "1" });
      const made = await target.provider.create(request).catch(() => null);
      answers.push(made === null ? "refused" : "made");
      await made?.destroy();
    }
    const harmless = await target.provider.create(newSandboxRequest({ HARMLESS: "1" }));
    await harmless.destroy();
    return answers.join(" ");
  },
  holds: (fact) => /^refused( refused)*$/.test(fact),
  controls: () => ["refused made refused", "made", ""],
};

export const launchGates: readonly Gate[] = [
  launcherFlags,
  mountSources,
  mountTable,
  userIds,
  capabilities,
  limitGate("gate-memory-limit", "memory", ["memory.max", "memory.limit_in_bytes"], 2 ** 40),
  limitGate("gate-process-limit", "pids", ["pids.max"], 100_000),
  unchangedFiles,
  smuggledOptions,
];
