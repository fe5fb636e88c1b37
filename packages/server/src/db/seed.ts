/** The smallest rows a session needs, for tests of what lies below the API. @module */
import { createId } from "@exoloop/protocol/ids";
import type { Database } from "./database.ts";

/** Inserts an organization with one agent, one environment and `count` sessions; returns their ids. */
export async function seedSessions(
  database: Database,
  count: number,
): Promise<{ organizationId: string; sessionIds: string[] }> {
  const organization_id = createId("organization");
  const agent_id = createId("agent");
  const environment_id = createId("environment");
  const sessionIds = Array.from({ length: count }, () => createId("session"));
  await database.insertInto("organizations").values({ id: organization_id, name: "Test" }).execute();
  await database.insertInto("agents").values({ id: agent_id, organization_id, latest_version: 1 }).execute();
  await database
    .insertInto("environments")
    .values({ id: environment_id, organization_id, name: "test", config: "{}", metadata: "{}" })
    .execute();
  const session = {
    organization_id,
    agent: "{}",
    agent_id,
    agent_version: 1,
    environment_id,
    metadata: "{}",
    resources: "[]",
    vault_ids: "[]",
  };
  await database
    .insertInto("sessions")
    .values(sessionIds.map((id) => ({ id, ...session })))
    .execute();
  return { organizationId: organization_id, sessionIds };
}
