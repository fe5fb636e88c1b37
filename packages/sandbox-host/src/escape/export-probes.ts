/**
 * Live probes from the other side: files that we take out of a sandbox whose workload put links to ours there. The
 * control takes them as a careless program would, by their path on the host.
 * @module
 */
import { mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxSession } from "@exoloop/sandbox/session";
import type { Canaries } from "./canaries.ts";
import type { GivenAnswer, LiveProbe } from "./probe.ts";

/** What was taken out, as text: a content, a list of names. */
type Take = (path: string) => Promise<string>;

interface ExportProbe extends LiveProbe {
  /** Below the workspace. */
  readonly path: (canaries: Canaries) => string;
  readonly verb: "read" | "fetch" | "list" | "stat";
}

const base = { scenario: 17, family: "exports", heldBy: ["nothing"] } as const;
/** Also its content. */
const ordinaryName = "ordinary";
const flagName = (canaries: Canaries): string => canaries.flagPath.slice(canaries.directory.length + 1);

export const exportProbes: readonly ExportProbe[] = [
  {
    ...base,
    id: "export-link",
    sentence: "hands out the flag as a file of its own, by a link",
    verb: "read",
    path: () => "link",
  },
  {
    ...base,
    id: "export-below-link",
    sentence: "hands out the flag below a link to its directory",
    verb: "read",
    path: (canaries) => `directory/${flagName(canaries)}`,
  },
  {
    ...base,
    id: "export-through-process",
    sentence: "hands out the flag through the root of the process that reads",
    verb: "read",
    path: (canaries) => `root${canaries.flagPath}`,
  },
  {
    ...base,
    id: "export-fetched-link",
    sentence: "hands out the flag in an archive",
    verb: "fetch",
    path: () => "link",
  },
  {
    ...base,
    id: "export-listing",
    sentence: "lists a directory of the host by a link",
    verb: "list",
    path: () => "directory",
  },
  { ...base, id: "export-existence", sentence: "tells whether the flag exists", verb: "stat", path: () => "link" },
];

const links = (canaries: Canaries): readonly (readonly [name: string, target: string])[] => [
  ["link", canaries.flagPath],
  ["directory", canaries.directory],
  ["root", "/proc/self/root"],
];

type Verbs = Readonly<Record<ExportProbe["verb"], Take>>;

async function takeAll(verbs: Verbs, canaries: Canaries, root: string): Promise<Map<string, GivenAnswer>> {
  const answers = new Map<string, GivenAnswer>();
  for (const probe of exportProbes) {
    // A verb that cannot even take what it may has proved nothing by not taking the flag.
    const ordinary = await verbs[probe.verb](join(root, probe.verb === "list" ? "." : ordinaryName)).catch(() => "");
    if (!ordinary.includes(ordinaryName)) {
      answers.set(probe.id, { answer: "unable", detail: "" });
      continue;
    }
    const taken = await verbs[probe.verb](join(root, probe.path(canaries))).catch(() => "");
    const leaked = taken.includes(canaries.flagContent) || taken.includes(flagName(canaries));
    answers.set(probe.id, { answer: leaked ? "reached" : "nothing", detail: "" });
  }
  return answers;
}

async function fetchText(session: SandboxSession, path: string): Promise<string> {
  let text = "";
  for await (const part of session.fetchFiles({ paths: [path] })) {
    if (part.type === "piece" && part.piece instanceof Uint8Array) text += Buffer.from(part.piece).toString();
  }
  return text;
}

/** @throws Error when the links cannot be made: then nothing was asked. */
export async function takeFromSandbox(session: SandboxSession, canaries: Canaries): Promise<Map<string, GivenAnswer>> {
  const commands = [
    `printf ${ordinaryName} > ${ordinaryName}`,
    ...links(canaries).map(([name, target]) => `ln -sfn '${target}' ${name}`),
  ];
  const { exit, stderr } = await session.run({ command: commands.join(" && "), workingDirectory: "/workspace" });
  if (exit.type !== "exited" || exit.code !== 0) throw new Error(`the sandbox made no links: ${stderr.slice(0, 200)}`);
  const verbs: Verbs = {
    read: async (path) => Buffer.from((await session.readBinaryFile({ path })) ?? []).toString(),
    fetch: (path) => fetchText(session, path),
    list: async (path) => ((await session.listDirectory({ path })) ?? []).map((entry) => entry.name).join("\n"),
    stat: async (path) =>
      (await session.stat({ path }))?.kind === "file" ? `${ordinaryName} ${canaries.flagContent}` : "",
  };
  return takeAll(verbs, canaries, "/workspace");
}

/** In a directory of the canaries', which is removed with them. */
export function takeCarelessly(canaries: Canaries): Promise<Map<string, GivenAnswer>> {
  const workspace = join(canaries.directory, "workspace");
  mkdirSync(workspace);
  writeFileSync(join(workspace, ordinaryName), ordinaryName);
  for (const [name, target] of links(canaries)) symlinkSync(target, join(workspace, name));
  const read: Take = async (path) => readFileSync(path, "utf8");
  const verbs: Verbs = {
    read,
    fetch: read,
    list: async (path) => readdirSync(path).join("\n"),
    stat: async (path) => (statSync(path).isFile() ? `${ordinaryName} ${canaries.flagContent}` : ""),
  };
  return takeAll(verbs, canaries, workspace);
}
