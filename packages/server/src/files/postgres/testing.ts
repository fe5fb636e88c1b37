/** Organizations and sessions for tests of stored files. @module */
import { createId } from "@exoloop/protocol/ids";
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";
import type { FileActor } from "../store.ts";

/** An organization with an agent and an environment, in which sessions can exist. */
export async function createTestOrganization(database: Kysely<Tables>): Promise<string> {
  const organizationId = createId("organization");
  await database.insertInto("organizations").values({ id: organizationId, name: "test" }).execute();
  return organizationId;
}

export async function createTestSession(database: Kysely<Tables>, organizationId: string): Promise<string> {
  const [agentId, environmentId, sessionId] = [createId("agent"), createId("environment"), createId("session")];
  await database
    .insertInto("agents")
    .values({ id: agentId, organization_id: organizationId, latest_version: 1 })
    .execute();
  await database
    .insertInto("environments")
    .values({
      id: environmentId,
      organization_id: organizationId,
      name: "test",
      description: null,
      config: "{}",
      metadata: "{}",
    })
    .execute();
  await database
    .insertInto("sessions")
    .values({
      id: sessionId,
      organization_id: organizationId,
      agent: "{}",
      agent_id: agentId,
      agent_version: 1,
      environment_id: environmentId,
      metadata: "{}",
      resources: "[]",
      vault_ids: "[]",
    })
    .execute();
  return sessionId;
}

export function actorOf(organizationId: string, sessionId: string | null, via: FileActor["via"] = "tool"): FileActor {
  return { organizationId, sessionId, toolUseId: createId("event"), via };
}
