/** `exoloop sandbox` against a real API, with sandboxes in memory. */
import Anthropic from "@anthropic-ai/sdk";
import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import { startTestServer, type TestServer } from "@exoloop/server/http/testing";
import { openSandboxRoom, type SandboxRoom } from "@exoloop/server/sandboxes/room";
import { createMemoryBlobs } from "@exoloop/server/sandboxes/snapshots/testing";
import { createLogger } from "@exoloop/server/telemetry/logger";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectTo } from "../connection.ts";
import type { CommandContext } from "../context.ts";
import {
  killSandbox,
  listCommands,
  listSandboxes,
  moveSandbox,
  previewPort,
  printLogs,
  renewLease,
  showSandbox,
  signalCommand,
} from "./sandboxes.ts";

let server: TestServer;
let room: SandboxRoom;
let session: string;
let start: (commandId: string, command: string) => Promise<unknown>;
let apiKey: string;

beforeAll(async () => {
  const [memory, other] = [createMemoryProvider({ id: "memory" }), createMemoryProvider({ id: "other" })];
  const withPorts = { ...other, capabilities: { ...other.capabilities, ports: true } };
  const providers = new Map([memory, withPorts].map((provider) => [provider.id, provider]));
  server = await startTestServer({
    openRoom: async (parts) =>
      (room = await openSandboxRoom({
        ...parts,
        log: createLogger("silent"),
        blobs: createMemoryBlobs().store,
        providers,
        defaultProvider: "memory",
        resources: { memoryBytes: 2 ** 28, processes: 64, cpus: 1, diskBytes: 2 ** 26, files: 10_000 },
        projectionOf: () => ({ before: () => Promise.resolve(), after: () => Promise.resolve(null) }),
      })),
  });
  const organization = await server.newOrganization();
  ({ apiKey } = organization);
  const sdk = new Anthropic({ baseURL: server.listener.url, apiKey });
  const agent = await sdk.beta.agents.create({ name: "a", model: "scripted/none" });
  const environment = await sdk.beta.environments.create({ name: "e" });
  session = (await sdk.beta.sessions.create({ agent: agent.id, environment_id: environment.id })).id;
  const owner = { sessionId: session, organizationId: organization.principal.organizationId };
  start = (commandId, command) => room.background.start(owner, { commandId, command, reattach: false });
});
afterAll(() => server.stop());

/** What a command writes, and a Ctrl-C. */
function terminal() {
  let [output, progress] = ["", ""];
  let interrupt = () => undefined as void;
  const context: CommandContext = {
    home: "/nowhere",
    keyboard: null,
    environment: {},
    output: { write: (text: string) => ((output += text), true) },
    progress: { write: (text: string) => ((progress += text), true) },
    connect: () => Promise.resolve(connectTo({ url: server.listener.url, apiKey })),
    onInterrupt(listener) {
      interrupt = listener;
      return () => undefined;
    },
  } as CommandContext;
  return { context, output: () => output, progress: () => progress, interrupt: () => interrupt() };
}

const shown = async (run: (context: CommandContext) => Promise<number>) => {
  const { context, output, progress } = terminal();
  expect(await run(context)).toBe(0);
  return { output: output(), progress: progress() };
};

test("a sandbox is shown, moved and killed", async () => {
  const none = await shown((context) => showSandbox(context, session, {}));
  expect(none.output).toMatch(/^state +none$/m);
  expect((await shown((context) => killSandbox(context, session, {}))).progress).toContain("no sandbox at the moment");
  await start("server", "echo hello; sleep 60");
  const { output } = await shown((context) => showSandbox(context, session, {}));
  expect(output).toMatch(/^provider +memory \(of memory, other\)$/m);
  expect(output).toMatch(/^isolation +none; stopped between commands by simulated; network: none$/m);
  expect(output).toMatch(/^lease +server until \d{4}-/m);
  expect((await shown((context) => moveSandbox(context, session, "other", {}))).progress).toContain("runs with other");
  await start("server2", "sleep 60");
  const listed = await shown((context) => listSandboxes(context, {}));
  expect(listed.output).toMatch(new RegExp(`^${session} +awake +other +2 `, "m"));
  expect((await shown((context) => killSandbox(context, session, {}))).progress).toContain("Killed.");
  const killed = await shown((context) => showSandbox(context, session, { json: true }));
  expect(JSON.parse(killed.output)).toMatchObject({ state: "gone", sandbox_id: null, provider: "other" });
});

test("commands are listed, followed until they end, given more time and signalled", async () => {
  await start("loud", "echo 'one\u001b[2J'; sleep 0.6; echo two; sleep 0.6");
  const { output } = await shown((context) => listCommands(context, session, {}));
  expect(output).toMatch(/^loud +running +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +\d+ B +echo 'one\\x1b\[2J'/m);
  expect(
    (await shown((context) => renewLease(context, session, { command: "loud", seconds: 900 }, {}))).progress,
  ).toMatch(/until \d{4}/);
  const followed = await shown((context) => printLogs(context, session, undefined, { follow: true }));
  expect(followed.output).toBe("one\\x1b[2J\ntwo\n");
  expect((await shown((context) => printLogs(context, session, "loud", { raw: true, offset: 3 }))).output).toBe(
    "\u001b[2J\ntwo\n",
  );
  const late = await shown((context) => signalCommand(context, session, "loud", { signal: "SIGTERM" }));
  expect(late.progress).toBe("The command has ended.\n");
});

test("Ctrl-C stops looking, not the command", async () => {
  await start("long", "echo up; sleep 60");
  const { context, interrupt, output } = terminal();
  const following = printLogs(context, session, "long", { follow: true });
  while (output() === "") await new Promise((resolve) => setTimeout(resolve, 20));
  interrupt();
  expect(await following).toBe(130);
  const sent = await shown((again) => signalCommand(again, session, "long", { signal: "SIGKILL" }));
  expect(sent.progress).toBe("Sent SIGKILL.\n");
});

test("a preview's address is all of standard output", async () => {
  const { output, progress } = await shown((context) => previewPort(context, session, 3_000, { seconds: 60 }));
  expect(output).toMatch(/^http:\/\/[0-9a-z]{63}\.localhost:\d+\/\n$/);
  expect(progress).toMatch(/Without that name: http:\/\/127\.0\.0\.1:\d+\/preview\/[0-9a-z]{63}\/\n.*until \d{4}/);
});
