/** Turns for tests: real Postgres, real engine, the scripted model; tools that note that they ran. @module */
import { createTestDatabase } from "../db/testing.ts";
import { createPgBossEngine } from "../engine/pg-boss-engine.ts";
import { createModelCatalog } from "../models/catalog.ts";
import { createModels } from "../models/registry.ts";
import { admit } from "../sessions/inbox.ts";
import type { Input } from "../sessions/input.ts";
import { lockSession } from "../sessions/locked-session.ts";
import { readLog } from "../sessions/log.ts";
import { createNoticeBoard } from "../sessions/notice-board.ts";
import type { TestSession } from "../sessions/testing-database.ts";
import { createLogger } from "../telemetry/logger.ts";
import type { ReplayRule, Tool } from "../tools/tool.ts";
import { driveTurn, type DriverDependencies } from "./driver.ts";

const log = createLogger("silent");

function countingTool(ran: string[], name: string, replay: ReplayRule, parallel: boolean): Tool {
  return {
    definition: { name, description: name, inputSchema: { type: "object" } },
    replay,
    parallel,
    wakesSandbox: name === "bash",
    async run(input, context) {
      ran.push(name);
      const { sleepMs, awakeMs } = input;
      if (typeof sleepMs === "number") await new Promise((resolve) => setTimeout(resolve, sleepMs));
      if (input["waitForAbort"] === true && !context.abortSignal.aborted) {
        await new Promise<void>((resolve) => context.abortSignal.addEventListener("abort", () => resolve()));
        ran.push(`${name} aborted`);
      }
      const characters = input["characters"];
      const long = typeof characters === "number" ? ` ${"word ".repeat(characters / 5)}` : "";
      const text = `${name}${long}${context.resumed ? " resumed" : ""}${context.abortSignal.aborted ? " aborted" : ""}`;
      const awake = typeof awakeMs === "number" ? { sandboxAwakeMs: awakeMs } : {};
      return { content: [{ type: "text", text }], isError: false, ...awake };
    },
  };
}

/** Everything that a driver needs, with tools that use neither files nor commands. */
function testDependencies(
  parts: Pick<DriverDependencies, "database" | "engine" | "notices">,
  ran: string[],
): DriverDependencies {
  const tools = [
    countingTool(ran, "read", "safe", true),
    countingTool(ran, "bash", "reattach", false),
    countingTool(ran, "write", "never", false),
  ];
  return {
    ...parts,
    log,
    models: createModels({}),
    catalog: createModelCatalog(),
    tools: {
      definitions: tools.map((tool) => tool.definition),
      find: (name) => tools.find((tool) => tool.definition.name === name),
      run: (tool, input, context) => tool.run(input ?? {}, context),
    },
    toolContext: ({ organizationId, sessionId }, { toolUseId }, options) => ({
      toolUseId,
      actor: { organizationId, sessionId, toolUseId, via: "tool" },
      files: unused("files"),
      commands: unused("commands"),
      background: unused("background"),
      ...options,
    }),
  };
}

export type TurnTest = Awaited<ReturnType<typeof startTurnTest>>;

/**
 * @param options.drives False: nobody drives the sessions but the test itself.
 * @param options.replaced Parts in place of the usual ones.
 */
export async function startTurnTest({
  drives = true,
  ...replaced
}: { readonly drives?: boolean } & Partial<
  Pick<DriverDependencies, "models" | "catalog" | "sandboxWake" | "approvalMs" | "readSkills">
> = {}) {
  const test = await createTestDatabase();
  const { database } = test;
  /** Names of the tools that ran, in order. */
  const ran: string[] = [];
  const engine = createPgBossEngine({ connectionString: test.url, database, concurrency: 4, log });
  const notices = await createNoticeBoard({ connectionString: test.url, log });
  const dependencies = { ...testDependencies({ database, engine, notices }, ran), ...replaced };
  await engine.start(async ({ sessionId }) => {
    if (drives) await driveTurn(dependencies, sessionId);
  });
  return {
    test,
    ran,
    notices,
    dependencies,
    async send({ organizationId, sessionId }: TestSession, ...inputs: Input[]) {
      const threads = new Map<string, number>();
      const stored = await database.transaction().execute(async (transaction) => {
        await lockSession(transaction, organizationId, sessionId);
        return admit(transaction, engine, sessionId, inputs, threads);
      });
      for (const [threadId, seq] of threads) notices.publish({ type: "appended", sessionId: threadId, seq });
      notices.publish({ type: "appended", sessionId, seq: stored.at(-1)?.seq ?? 0 });
      return stored;
    },
    /** The log once its types satisfy the condition. */
    async eventually({ sessionId }: TestSession, done: (types: readonly string[]) => boolean) {
      let types: readonly string[] = [];
      for (let attempt = 0; attempt < 400; attempt += 1) {
        const events = await readLog(database, sessionId, 0);
        types = events.map((event) => event.type);
        if (done(types)) return events;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      throw new Error(`not reached: ${types.join(", ")}`);
    },
    async stop() {
      await engine.stop(1_000);
      await notices.close();
      await test.drop();
    },
  };
}

export const script = (steps: readonly object[]): Input => ({
  type: "user.message",
  content: [{ type: "text", text: ["```script", JSON.stringify(steps), "```"].join("\n") }],
});

/** Whether the session has become idle so many times. */
export const idleTimes = (count: number) => (types: readonly string[]) =>
  types.filter((type) => type === "session.status_idle").length === count;

function unused(name: string): never {
  return new Proxy(
    {},
    {
      get: () => {
        throw new Error(`${name} is not used here`);
      },
    },
  ) as never;
}
