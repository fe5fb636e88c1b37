/**
 * Runs the cases: each operation once by a session's tools and once by its command, and then asks four witnesses what
 * is there: the tools and a command of that session, and those of another one with a sandbox of its own.
 * @module
 */
import { createHash } from "node:crypto";
import { createId } from "@exoloop/protocol/ids";
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import { organizationMemoryMount, storedMounts } from "../mounts.ts";
import type { StoredFiles } from "../postgres/stored-files.ts";
import { createBaselineCache } from "../projection/baseline.ts";
import { createProjection, type FileProjection } from "../projection.ts";
import type { DirectoryOperations, FileActor, FileStore } from "../store.ts";
import { createTestSandbox, runProjected } from "../testing.ts";
import { encodeText } from "../text.ts";
import { caseTools, type CoherenceCase, type ExpectedTree } from "./coherence-case.ts";
import { contentCases } from "./content-cases.ts";
import { nameCases } from "./name-cases.ts";

/** One session with tools and a sandbox. */
interface Party {
  readonly store: FileStore & DirectoryOperations;
  readonly sandbox: Sandbox;
  readonly projection: FileProjection;
  readonly actor: () => FileActor;
}

export interface CoherenceWorld {
  readonly files: StoredFiles;
  readonly provider: SandboxProvider;
  readonly organizationId: string;
  /** Two sessions of the organization. */
  readonly sessionIds: readonly [string, string];
}

export interface Observation {
  readonly case: string;
  readonly doneBy: "tools" | "bash";
  readonly seenBy: "tools" | "bash" | "other tools" | "other bash";
  readonly expected: string;
  readonly seen: string;
}

export const coherenceCases: readonly CoherenceCase[] = [...contentCases, ...nameCases];

/** Everything that was seen; where `seen` is `expected` they agree. */
export async function measureCoherence(
  world: CoherenceWorld,
  cases: readonly CoherenceCase[] = coherenceCases,
): Promise<readonly Observation[]> {
  const [ours, theirs] = await Promise.all(world.sessionIds.map((sessionId) => openParty(world, sessionId)));
  if (ours === undefined || theirs === undefined) throw new Error("two sessions are needed");
  try {
    const observations: Observation[] = [];
    for (const one of cases) {
      if (one.tools !== null) observations.push(...(await observe(ours, theirs, one, "tools")));
      observations.push(...(await observe(ours, theirs, one, "bash")));
    }
    return observations;
  } finally {
    await Promise.all([ours.sandbox.destroy(), theirs.sandbox.destroy()]);
  }
}

async function openParty({ files, provider, organizationId }: CoherenceWorld, sessionId: string): Promise<Party> {
  const owner = { organizationId, sessionId };
  return {
    store: files.open(owner, organizationMemoryMount),
    sandbox: await createTestSandbox(provider),
    projection: createProjection({ files, baselines: createBaselineCache(), ...owner, mounts: storedMounts }),
    actor: () => ({ ...owner, toolUseId: createId("event"), via: "tool" }),
  };
}

async function observe(
  ours: Party,
  theirs: Party,
  one: CoherenceCase,
  doneBy: Observation["doneBy"],
): Promise<readonly Observation[]> {
  const directory = `${organizationMemoryMount.prefix}/${one.id}-${doneBy}`;
  await prepare(theirs, directory, one.given);
  // It has seen what is given, so that its copies are older than what is done.
  await runProjected(theirs.sandbox, theirs.projection, "true");
  if (doneBy === "tools") await one.tools?.(caseTools(ours.store, directory, ours.actor));
  else await runProjected(ours.sandbox, ours.projection, `cd '${directory}' && { ${one.bash}\n}`);
  const expected = describeExpected(one.expected);
  const seen = {
    tools: await lookByTools(ours, directory),
    bash: await lookByCommand(ours, directory),
    "other tools": await lookByTools(theirs, directory),
    "other bash": await lookByCommand(theirs, directory),
  } as const;
  return Object.entries(seen).map(([seenBy, what]) => ({
    case: one.id,
    doneBy,
    seenBy: seenBy as Observation["seenBy"],
    expected,
    seen: what,
  }));
}

/** Where something is executable it takes a command to make it so. */
async function prepare(party: Party, directory: string, given: ExpectedTree): Promise<void> {
  await party.store.makeDirectory(directory, party.actor());
  const executable: string[] = [];
  for (const [name, entry] of Object.entries(given)) {
    const path = `${directory}/${name}`;
    if (entry === null) await party.store.makeDirectory(path, party.actor());
    else await party.store.write(path, encodeText(entry.text), party.actor());
    if (entry?.executable === true) executable.push(path);
  }
  if (executable.length > 0) await runProjected(party.sandbox, party.projection, `chmod +x ${executable.join(" ")}`);
}

function describe(lines: readonly string[]): string {
  return [...lines].sort().join("\n");
}

function describeFile(name: string, executable: boolean, bytes: Uint8Array): string {
  return `${name} ${executable ? "x" : "-"} ${createHash("sha256").update(bytes).digest("hex")}`;
}

function describeExpected(tree: ExpectedTree): string {
  const lines = Object.entries(tree).map(([name, entry]) =>
    entry === null ? `${name}/` : describeFile(name, entry.executable === true, encodeText(entry.text)),
  );
  return describe(lines);
}

async function lookByTools({ store }: Party, directory: string): Promise<string> {
  const lines: string[] = [];
  const look = async (path: string): Promise<void> => {
    for (const entry of await store.list(path, 1_000)) {
      const name = entry.path.slice(directory.length + 1);
      if (entry.kind === "directory") {
        lines.push(`${name}/`);
        await look(entry.path);
      } else lines.push(describeFile(name, entry.executable, (await store.read(entry.path)).bytes));
    }
  };
  await look(directory);
  return describe(lines);
}

async function lookByCommand({ sandbox, projection }: Party, directory: string): Promise<string> {
  const command = `cd '${directory}' && find . -mindepth 1 -type d -printf '%P/\\0' && find . -type f -print0 | while IFS= read -r -d '' f; do
    if [ -x "$f" ]; then x=x; else x=-; fi; printf '%s %s %s\\0' "\${f#./}" $x "$(sha256sum < "$f" | cut -c1-64)"; done`;
  const { output, exit, sync } = await runProjected(sandbox, projection, command);
  if (exit.type !== "exited" || exit.code !== 0) return `the command failed: ${JSON.stringify(exit)} ${output}`;
  // Whoever only looks is told nothing: nothing was left unsaved, and nothing is saved twice.
  const told = sync === null || sync.includes("since you read it") ? [] : [sync];
  return describe([...output.split("\0").filter((line) => line !== ""), ...told]);
}
