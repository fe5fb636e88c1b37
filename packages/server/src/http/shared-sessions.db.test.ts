/** Private sessions that are shown to the whole organization. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { codeOf, newCompany as newCompanyOf, startServerWithRoom } from "./testing-people.ts";
import { appendMessage, type TestServer } from "./testing.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServerWithRoom();
});
afterAll(() => server.stop());

const newCompany = () => newCompanyOf(server);

describe("sharing", () => {
  it("opens the session to all, tells its log, warns, and is for good", async () => {
    const { ann, bob, connect, create } = await newCompany();
    const { id } = await create(ann.apiKey);
    await appendMessage(server, id, "hello");
    expect(await codeOf(connect(bob.apiKey).sessions.share(id))).toBe("not_found");
    const shared = await connect(ann.apiKey).sessions.share(id);
    expect(shared).toMatchObject({ visibility: "shared", changed: true, sandbox_replaced: false });
    expect(shared.warnings.join(" ")).toMatch(/copies .*\/memory\/me.*cannot be undone/s);
    const events = (await connect(bob.apiKey).events.list(id)).data;
    expect(events.at(-1)).toMatchObject({ type: "session.updated", x_exoloop: { visibility: "shared" } });
    expect(await connect(bob.apiKey).sessions.share(id)).toMatchObject({ changed: false, warnings: [] });
    const { database } = server.test;
    const audited = database.selectFrom("audit_log").select(["principal", "action"]).where("session_id", "=", id);
    expect(await audited.execute()).toEqual([
      { principal: { type: "api_key", id: ann.principal.apiKeyId, user_id: ann.userId }, action: "session.share" },
    ]);
  });

  it("waits for a session that runs to come to rest", async () => {
    const { ann, connect, create } = await newCompany();
    const { id } = await create(ann.apiKey);
    await server.test.database.updateTable("sessions").set({ status: "running" }).where("id", "=", id).execute();
    expect(await codeOf(connect(ann.apiKey).sessions.share(id))).toBe("invalid_request");
    expect((await connect(ann.apiKey).sessions.retrieve(id)).x_exoloop.visibility).toBe("private");
  });

  it("takes the sandbox with it", async () => {
    const { ann, connect, create } = await newCompany();
    const { id } = await create(ann.apiKey);
    await connect(ann.apiKey).commands.run(id, { command: "echo kept > /workspace/a.txt" });
    const before = await connect(ann.apiKey).sandboxes.retrieve(id);
    expect(await connect(ann.apiKey).sessions.share(id)).toMatchObject({ sandbox_replaced: true });
    expect(await connect(ann.apiKey).sandboxes.retrieve(id)).toMatchObject({ sandbox_id: null, state: "gone" });
    await connect(ann.apiKey).commands.run(id, { command: "true" });
    expect((await connect(ann.apiKey).sandboxes.retrieve(id)).generation).toBe(before.generation + 1);
  });
});
