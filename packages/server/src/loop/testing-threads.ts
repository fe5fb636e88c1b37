/** Sessions that give work to others, for tests. @module */
import type { TestSession } from "../sessions/testing-database.ts";
import { insertTestSession } from "../sessions/testing-database.ts";
import { readLog } from "../sessions/log.ts";
import type { AgentSnapshot } from "./context.ts";
import type { TurnTest } from "./testing.ts";

/** A session whose agent may give work to these. */
export async function insertParent(
  turns: TurnTest,
  helpers: readonly Partial<AgentSnapshot>[] = [{ name: "helper" }],
  own: Partial<AgentSnapshot> = {},
): Promise<TestSession> {
  const { database } = turns.test;
  const session = await insertTestSession(database, own);
  const row = await database
    .selectFrom("sessions")
    .select(["agent", "agent_id"])
    .where("id", "=", session.sessionId)
    .executeTakeFirstOrThrow();
  const agent = row.agent as AgentSnapshot;
  const agents = helpers.map((helper) => ({ ...agent, id: row.agent_id, version: 1, ...helper }));
  await database
    .updateTable("sessions")
    .set({ agent: JSON.stringify({ ...agent, multiagent: { type: "coordinator", agents } }) })
    .where("id", "=", session.sessionId)
    .execute();
  return session;
}

/** A task that a scripted helper plays. */
export function task(steps: readonly object[]): string {
  return ["```script", JSON.stringify(steps), "```"].join("\n");
}

export const delegate = (steps: readonly object[], more: object = {}) => ({
  name: "delegate",
  input: { agent: "helper", task: task(steps), ...more },
});

/** The threads of a session as they were created, with their logs. */
export async function threadsOf({ test: { database } }: TurnTest, { organizationId, sessionId }: TestSession) {
  const rows = await database
    .selectFrom("sessions")
    .selectAll()
    .where("parent_session_id", "=", sessionId)
    .orderBy("created_at")
    .orderBy("id")
    .execute();
  return Promise.all(
    rows.map(async (row) => ({
      session: { organizationId, sessionId: row.id },
      row,
      events: await readLog(database, row.id, 0),
    })),
  );
}

/** The texts of tool results, in the order of the log. */
export function resultTexts(events: readonly { readonly type: string; readonly data: unknown }[]): readonly string[] {
  return events
    .filter((event) => event.type === "agent.tool_result")
    .map((event) =>
      (event.data as { content: readonly { text: string }[] }).content.map(({ text }) => text).join("\n"),
    );
}
