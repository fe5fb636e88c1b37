/** From the request of an interrupt to the moment in which no process of the command is left. @module */
import { setTimeout as sleep } from "node:timers/promises";
import type { Api } from "./api.ts";
import { withDatabase } from "./collect.ts";
import { workloadGroup, workloadProcesses } from "./sandboxes.ts";
import type { World } from "./world.ts";

export interface InterruptSamples {
  /** Milliseconds. A command that ends when it is told to. */
  readonly plain: readonly number[];
  /** A command that ignores every signal that can be ignored. */
  readonly trapped: readonly number[];
}

export interface InterruptOptions {
  readonly api: Api;
  readonly world: World;
  readonly agentId: string;
  readonly environmentId: string;
  readonly rounds: number;
}

/** `processes`: the shell of the first becomes its command, that of the second waits for it. */
const commands = {
  plain: { command: "sleep 1000", processes: 1 },
  trapped: { command: "trap '' INT TERM HUP QUIT; sleep 1000; sleep 1000", processes: 2 },
};
const patienceMs = 20_000;

export async function measureInterrupts(options: InterruptOptions): Promise<InterruptSamples> {
  return { plain: await measure(options, commands.plain), trapped: await measure(options, commands.trapped) };
}

type Command = (typeof commands)["plain"];

async function measure(options: InterruptOptions, command: Command): Promise<readonly number[]> {
  const { api, agentId, environmentId, rounds } = options;
  const session = (await api.post("/v1/sessions", { agent: agentId, environment_id: environmentId })) as {
    readonly id: string;
  };
  const samples: number[] = [];
  for (let round = 0; round < rounds; round += 1) samples.push(await interruptOnce(options, session.id, command));
  await api.post(`/v1/sessions/${session.id}/archive`, {});
  return samples;
}

async function interruptOnce(
  { api, world }: InterruptOptions,
  sessionId: string,
  { command, processes }: Command,
): Promise<number> {
  const path = `/v1/sessions/${sessionId}/events`;
  const steps = [{ toolCalls: [{ name: "bash", input: { command } }] }, { text: "It ended." }];
  const text = ["```script", JSON.stringify(steps), "```"].join("\n");
  await api.post(path, { events: [{ type: "user.message", content: [{ type: "text", text }] }] });
  const group = await eventually("a command that runs", async () => {
    const id = await sandboxOf(world, sessionId);
    if (id === null) return null;
    const found = workloadGroup(world.sandboxesDirectory, id);
    // The shell has started what it waits for: its traps are set.
    return workloadProcesses(found).length >= processes ? found : null;
  });
  await sleep(150);
  const startedAt = performance.now();
  const interrupting = api.post(path, { events: [{ type: "user.interrupt" }] });
  while (workloadProcesses(group).length > 0) {
    if (performance.now() - startedAt > patienceMs) throw new Error("an interrupted command goes on");
    await sleep(1);
  }
  const milliseconds = performance.now() - startedAt;
  await interrupting;
  await eventually("an idle session", async () => {
    const { status } = (await api.get(`/v1/sessions/${sessionId}`)) as { readonly status: string };
    return status === "idle" ? status : null;
  });
  return milliseconds;
}

async function sandboxOf(world: World, sessionId: string): Promise<string | null> {
  return withDatabase(world.databaseUrl(), async (database) => {
    const row = await database
      .selectFrom("sandboxes")
      .select("sandbox_id")
      .where("session_id", "=", sessionId)
      .executeTakeFirst();
    return row?.sandbox_id ?? null;
  });
}

async function eventually<Result>(what: string, look: () => Promise<Result | null>): Promise<Result> {
  for (const deadline = performance.now() + patienceMs; performance.now() < deadline; await sleep(20)) {
    const found = await look();
    if (found !== null) return found;
  }
  throw new Error(`there was not: ${what}`);
}
