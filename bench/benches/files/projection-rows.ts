/** Stored files in sandboxes: what projection and capture cost, what many sandboxes do to one file, who sees what. @module */
import type { SandboxProvider } from "@exoloop/sandbox/contract";
import type { Database } from "@exoloop/server/db/database";
import { measureCoherence } from "@exoloop/server/files/coherence/measure";
import { organizationMemoryMount } from "@exoloop/server/files/mounts";
import { createTestSession } from "@exoloop/server/files/postgres/testing";
import { runProjected, startTestHost, workspaceOf } from "@exoloop/server/files/testing";
import type { BenchContext, Row } from "../../bench.ts";
import { percentile, toRow } from "../../statistics.ts";
import { changeFiles, createProjectedOrganization, createProjectedSession, storeFiles } from "./projected.ts";

const projectedFiles = 2_000;
const deltaFiles = 3;
const [sandboxes, appends] = [20, 20];
const appendP99GoalMs = 1_500;

export async function measureProjection(context: BenchContext, database: Database): Promise<Row[]> {
  const host = await startTestHost();
  try {
    return [
      ...(await measureSteady(context, database, host.provider)),
      ...(await measureAppends(context, database, host.provider)),
      ...(await measureAgreement(context, database, host.provider)),
    ];
  } finally {
    await host.stop();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function measureSteady(
  { progress, note, option }: BenchContext,
  database: Database,
  provider: SandboxProvider,
): Promise<Row[]> {
  const samples = option("samples");
  progress(`projection of ${projectedFiles} files, ${samples} times unchanged and with ${deltaFiles} changed`);
  const organization = await createProjectedOrganization(database);
  await storeFiles(organization, projectedFiles);
  const { sandbox, projection } = await createProjectedSession(organization, provider);
  const workspace = workspaceOf(sandbox);
  const first = await timed(() => projection.before(workspace));
  await runProjected(sandbox, projection, "true");
  const [before, after, delta]: [number[], number[], number[]] = [[], [], []];
  for (let sample = 0; sample < samples; sample += 1) {
    before.push(await timed(() => projection.before(workspace)));
    after.push(await timed(() => projection.after(workspace, `sevt_unchanged_${sample}`)));
  }
  for (let sample = 0; sample < samples; sample += 1) {
    const changed = Array.from({ length: deltaFiles }, (_, index) => [
      `d${index}/file-${index * 20}.md`,
      Buffer.from(`changed ${sample}\n`.repeat(100)),
    ]) satisfies [string, Uint8Array][];
    await changeFiles(organization, changed);
    delta.push(await timed(() => projection.before(workspace)));
    await projection.after(workspace, `sevt_delta_${sample}`);
  }
  await sandbox.destroy();
  note(`The first projection of ${projectedFiles} files took ${Math.round(first)} ms.`);
  return [
    toRow(before, { id: "project_unchanged", unit: "ms", goal: 1 }),
    toRow(after, { id: "capture_unchanged", unit: "ms", goal: 10 }),
    toRow(delta, { id: "project_delta", unit: "ms", goal: 5 }),
  ];
}

async function measureAppends(
  { progress, note }: BenchContext,
  database: Database,
  provider: SandboxProvider,
): Promise<Row[]> {
  progress(`${sandboxes} sandboxes, ${appends} appends each by a command, to one file`);
  const organization = await createProjectedOrganization(database);
  await changeFiles(organization, [["log.md", Buffer.from("start\n")]]);
  const path = `${organizationMemoryMount.prefix}/log.md`;
  const sessions = await Promise.all(
    Array.from({ length: sandboxes }, () => createProjectedSession(organization, provider)),
  );
  const [whole, captures]: [number[], number[]] = [[], []];
  await Promise.all(
    sessions.map(async ({ sandbox, projection }, writer) => {
      const measured = {
        before: projection.before,
        settle: projection.settle,
        async after(...capture: Parameters<typeof projection.after>) {
          const start = performance.now();
          const sync = await projection.after(...capture);
          captures.push(performance.now() - start);
          return sync;
        },
      };
      for (let append = 0; append < appends; append += 1) {
        const command = `echo 'sandbox ${writer} append ${append};' >> ${path}`;
        whole.push(await timed(() => runProjected(sandbox, measured, command)));
      }
    }),
  );
  const { store, destroy } = await readerOf(organization, provider);
  const lines = (await store(path)).split("\n").filter((line) => line.endsWith(";"));
  await Promise.all([...sessions.map(({ sandbox }) => sandbox.destroy()), destroy()]);
  const distinct = new Set(lines).size;
  note(
    `Projected commands that append, whole: p50 ${percentile(whole, 0.5).toFixed(0)} ms, p99 ${percentile(whole, 0.99).toFixed(0)} ms.`,
  );
  return [
    toRow([sandboxes * appends - distinct], { id: "appends_lost", unit: "lines", goal: 0 }),
    toRow([lines.length - distinct], { id: "appends_duplicated", unit: "lines", goal: 0 }),
    toRow(captures, { id: "append_captured", unit: "ms", goal: appendP99GoalMs, judged: "p99" }),
  ];
}

type Organization = Awaited<ReturnType<typeof createProjectedOrganization>>;

/** Reads as another session's command does. */
async function readerOf(organization: Organization, provider: SandboxProvider) {
  const { sandbox, projection } = await createProjectedSession(organization, provider);
  return {
    store: async (path: string) => (await runProjected(sandbox, projection, `cat ${path}`)).output,
    destroy: () => sandbox.destroy(),
  };
}

async function measureAgreement(
  { progress, note }: BenchContext,
  database: Database,
  provider: SandboxProvider,
): Promise<Row[]> {
  progress("coherence: every operation by tools and by commands, seen by tools and commands of two sessions");
  const { files, organizationId } = await createProjectedOrganization(database);
  const session = () => createTestSession(database, organizationId);
  const sessionIds = [await session(), await session()] as const;
  const seen = await measureCoherence({ files, provider, organizationId, sessionIds });
  const agreed = seen.filter((one) => one.seen === one.expected);
  for (const { case: id, doneBy, seenBy } of seen.filter((one) => one.seen !== one.expected))
    note(`Not seen alike: ${id}, done by ${doneBy}, seen by ${seenBy}.`);
  const row = { id: "coherence", unit: "share", goal: 1, higherIsBetter: true };
  return [toRow([agreed.length / seen.length], row)];
}
