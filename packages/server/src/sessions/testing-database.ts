/** Rows that a session needs, for tests with a real Postgres. @module */
import { createId } from "@exoloop/protocol/ids";
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { AgentSnapshot } from "../loop/context.ts";

export interface TestSession {
  readonly organizationId: string;
  readonly sessionId: string;
}

const everyTool: AgentSnapshot["tools"] = [
  {
    type: "agent_toolset_20260401",
    default_config: { enabled: true, permission_policy: { type: "always_allow" } },
    configs: [],
  },
];

/** An organization with an agent, an environment and a session. */
export async function insertTestSession(
  database: Kysely<Tables>,
  agent: Partial<AgentSnapshot> = {},
): Promise<TestSession> {
  const organizationId = createId("organization");
  const [agentId, environmentId, sessionId] = [createId("agent"), createId("environment"), createId("session")];
  await database.insertInto("organizations").values({ id: organizationId, name: "test" }).execute();
  await database
    .insertInto("agents")
    .values({ id: agentId, organization_id: organizationId, latest_version: 1 })
    .execute();
  await database
    .insertInto("environments")
    .values({ id: environmentId, organization_id: organizationId, name: "test", config: "{}", metadata: "{}" })
    .execute();
  const snapshot: AgentSnapshot = { name: "test", system: null, model: { id: "scripted" }, tools: everyTool, ...agent };
  await database
    .insertInto("sessions")
    .values({
      id: sessionId,
      organization_id: organizationId,
      agent: JSON.stringify(snapshot),
      agent_id: agentId,
      agent_version: 1,
      environment_id: environmentId,
      metadata: "{}",
      resources: "[]",
      vault_ids: "[]",
    })
    .execute();
  return { organizationId, sessionId };
}

/** What sessions ask of sandboxes, where there are none. */
export const noSandboxes = {
  releaseSandbox: () => Promise.resolve(),
  captureWorkspace: () => Promise.resolve(),
  dropSandbox: () => Promise.resolve(null),
};
