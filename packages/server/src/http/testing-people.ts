/** An organization with people in it, over the API, with sandboxes in memory. @module */
import { type ApiError, createClient } from "@exoloop/client/client";
import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import { openSandboxRoom, type RoomParts } from "../sandboxes/room.ts";
import { createMemoryBlobs } from "../sandboxes/snapshots/testing.ts";
import { createLogger } from "../telemetry/logger.ts";
import { startTestServer, type TestServer } from "./testing.ts";

const nothing = { before: () => Promise.resolve(), after: () => Promise.resolve(null) };

/** @param projectionOf Stored files in the sandboxes; none unless given. */
export function startServerWithRoom(projectionOf: RoomParts["projectionOf"] = () => nothing): Promise<TestServer> {
  const memory = createMemoryProvider({ id: "memory" });
  return startTestServer({
    openRoom: (parts) =>
      openSandboxRoom({
        ...parts,
        log: createLogger("silent"),
        blobs: createMemoryBlobs().store,
        providers: new Map([[memory.id, memory]]),
        defaultProvider: "memory",
        resources: { memoryBytes: 2 ** 28, processes: 64, cpus: 1.5, diskBytes: 2 ** 26, files: 10_000 },
        projectionOf,
      }),
  });
}

/** Its admin, two people, and what sessions need. */
export async function newCompany(server: TestServer) {
  const { apiKey: admin, principal } = await server.newOrganization();
  const { organizationId } = principal;
  const connect = (apiKey: string) => createClient({ baseUrl: server.listener.url, apiKey });
  const [ann, bob] = [await server.newUser(organizationId, "Ann"), await server.newUser(organizationId, "Bob")];
  const agent = await connect(admin).agents.create({ name: "a", model: "scripted/none" });
  const environment = await connect(admin).environments.create({ name: "e" });
  const create = (apiKey: string, x_exoloop: object = {}) =>
    connect(apiKey).sessions.create({ agent: agent.id, environment_id: environment.id, title: "Secret", x_exoloop });
  return { admin, ann, bob, organizationId, connect, create };
}

/** The code of the refusal, or `ok`. */
export const codeOf = (request: Promise<unknown>) =>
  request.then(
    () => "ok",
    (error: ApiError) => error.code,
  );
