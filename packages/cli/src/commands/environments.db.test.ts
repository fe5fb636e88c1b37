/** `exoloop environments` against a real API. */
import { startTestServer, type TestServer } from "@exoloop/server/http/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectTo } from "../connection.ts";
import type { CommandContext } from "../context.ts";
import { createEnvironment, createKey, listEnvironments, listKeys, revokeKey } from "./environments.ts";

let server: TestServer;
let apiKey: string;
beforeAll(async () => {
  server = await startTestServer();
  ({ apiKey } = await server.newOrganization());
});
afterAll(() => server.stop());

function terminal() {
  let [output, progress] = ["", ""];
  const context: CommandContext = {
    home: "/nowhere",
    keyboard: null,
    environment: {},
    output: { write: (text: string) => ((output += text), true) },
    progress: { write: (text: string) => ((progress += text), true) },
    connect: () => Promise.resolve(connectTo({ url: server.listener.url, apiKey })),
    onInterrupt: () => () => undefined,
  };
  return { context, output: () => output, progress: () => progress };
}

test("an environment for workers, its keys, and their end", async () => {
  const made = terminal();
  expect(await createEnvironment(made.context, "mine", { selfHosted: true })).toBe(0);
  expect(made.output()).toMatch(/^env_\w+\n$/);
  const listed = terminal();
  await listEnvironments(listed.context, {});
  expect(listed.output()).toMatch(/env_\w+ +mine +self_hosted/);

  const created = terminal();
  await createKey(created.context, "mine", { name: "laptop" });
  // The key alone, so that a script can keep it.
  expect(created.output()).toMatch(/^exo_[0-9a-z]{32}\n$/);
  expect(created.progress()).not.toContain(created.output().trim());
  const keys = terminal();
  await listKeys(keys.context, "mine", {});
  const id = /key_\w+/.exec(keys.output())?.[0] ?? "";
  expect(keys.output()).toMatch(/key_\w+ +laptop .* never/);

  await revokeKey(terminal().context, "mine", id, {});
  const none = terminal();
  await listKeys(none.context, "mine", { json: true });
  expect(JSON.parse(none.output())).toEqual({ data: [] });
  await expect(createKey(terminal().context, "nobody's", { name: "x" })).rejects.toThrow("No environment");
});
