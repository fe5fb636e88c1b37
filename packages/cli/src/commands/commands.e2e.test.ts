/** The commands as child processes against a server that `exoloop up` started, with the scripted model. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "@exoloop/client/client";
import { stopEmbeddedPostgres } from "@exoloop/server/db/embedded/supervisor";
import { afterAll, beforeAll, expect, test } from "vitest";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when standard output or standard error holds what is looked for. */
  shows(what: RegExp): Promise<string>;
}

let home: string;
let server: Running;
let started: { url: string; api_key: string };

function start(arguments_: readonly string[], environment: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, [main, ...arguments_], {
    env: { PATH: process.env["PATH"] ?? "", HOME: home, EXOLOOP_HOME: home, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  const waiting = new Set<() => void>();
  const take = () => waiting.forEach((look) => look());
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    take();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
    take();
  });
  const ended = new Promise<Ended>((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
  const shows = (what: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const found = what.exec(stdout) ?? what.exec(stderr);
        if (found === null) return;
        waiting.delete(look);
        resolve(found[1] ?? found[0]);
      };
      waiting.add(look);
      look();
      void ended.then(() => reject(new Error(`ended without ${what}: ${stdout}${stderr}`)));
    });
  return { child, ended, shows };
}

const exoloop = (arguments_: readonly string[], environment?: Record<string, string>) =>
  start(arguments_, environment).ended;

/** A task that tells the scripted model what to do. */
const script = (steps: readonly object[]) => `Do this:\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "exoloop-commands-"));
  server = start(["up", "--port", "0", "--sandbox", "none", "--json"], {
    EXOLOOP_LOG_LEVEL: "error",
  });
  started = JSON.parse(await server.shows(/^(\{.*\})$/m)) as typeof started;
}, 60_000);

afterAll(async () => {
  server.child.kill("SIGTERM");
  const { code, stderr } = await server.ended;
  await stopEmbeddedPostgres({ directory: join(home, "postgres") });
  await rm(home, { recursive: true, force: true });
  if (code !== 0) throw new Error(`exoloop up ended with ${code}: ${stderr}`);
}, 60_000);

test("up leaves credentials that only their owner reads", async () => {
  expect(started.api_key).not.toBe("");
  expect((await stat(join(home, "credentials.json"))).mode & 0o777).toBe(0o600);
});

test("run shows the answer on standard output and the session on standard error", async () => {
  const ended = await exoloop(["run", script([{ text: "All is \u001b[31mwell." }])]);
  expect(ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/^session sesn_\w+, model scripted\n/) });
  expect(ended.stdout).toContain("● All is \\x1b[31mwell.");
});

test("run --json gives one event a line, from the message to the idle", async () => {
  const ended = await exoloop(["run", "--json", script([{ text: "ok" }])]);
  const types = ended.stdout
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { type: string }).type);
  expect(types[0]).toBe("user.message");
  expect(types).toContain("agent.message");
  expect(types.at(-1)).toBe("session.status_idle");
  expect(types.filter((type) => type.startsWith("event_"))).toEqual([]);
});

test("sessions list and show agree", async () => {
  const listed = await exoloop(["sessions", "list", "--json"]);
  const { data } = JSON.parse(listed.stdout) as { data: { id: string; status: string }[] };
  expect(data.length).toBeGreaterThanOrEqual(2);
  const table = await exoloop(["sessions", "list"]);
  for (const { id } of data) expect(table.stdout).toContain(id);
  const shown = await exoloop(["sessions", "show", data[0]?.id ?? ""]);
  expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining("● ok") });
  const completed = await exoloop(["complete", "--", "sessions", "attach", "sesn_"]);
  expect(completed.stdout).toContain(data[0]?.id);
});

test("a deployment is made, run by hand, paused, listed, archived", { timeout: 30_000 }, async () => {
  const create = ["deployments", "create", script([{ text: "Good morning." }]), "--name", "morning"];
  const made = await exoloop([...create, "--cron", "0 9 * * 1-5", "--timezone", "Europe/Berlin", "--overlap", "queue"]);
  expect(made).toMatchObject({ code: 0, stderr: "" });
  expect(made.stdout).toMatch(/^schedule +0 9 \* \* 1-5 Europe\/Berlin$/m);
  expect(made.stdout).toMatch(/^missed +run_once; overlapping: queue$/m);
  const id = /depl_\w+/.exec(made.stdout)?.[0] ?? "";
  const ran = await exoloop(["deployments", "run", id]);
  const sessionId = /sesn_\w+/.exec(ran.stdout)?.[0] ?? "";
  expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining(`exoloop sessions attach ${sessionId}`) });
  const attached = start(["sessions", "attach", sessionId, "--json"]);
  await attached.shows(/Good morning\./);
  attached.child.kill("SIGINT");
  expect(await exoloop(["deployments", "pause", id])).toMatchObject({ code: 0, stdout: "" });
  const listed = await exoloop(["deployments", "list", "--status", "paused"]);
  expect(listed.stdout).toMatch(new RegExp(`^${id} +paused +0 9 \\* \\* 1-5 Europe/Berlin +- +- +morning$`, "m"));
  expect((await exoloop(["deployments", "unpause", id])).stderr).toContain("Next run: ");
  const shown = await exoloop(["deployments", "show", "morning"]);
  expect(shown.stdout).toMatch(new RegExp(`^drun_\\w+ +${id} .*by hand +${sessionId}$`, "m"));
  expect((await exoloop(["deployments", "runs", id, "--failed"])).stderr).toBe("No runs.\n");
  const runs = JSON.parse((await exoloop(["deployments", "runs", "--json"])).stdout) as { data: unknown[] };
  expect(runs.data).toMatchObject([{ deployment_id: id, session_id: sessionId }]);
  expect((await exoloop(["complete", "--", "deployments", "run", "depl_"])).stdout).toContain(id);
  expect((await exoloop(["deployments", "archive", id])).code).toBe(0);
  expect(await exoloop(["deployments", "run", id])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("archived"),
  });
  expect((await exoloop(["deployments", "runs", "depl_none"])).code).toBe(4);
  expect(await exoloop(["deployments", "show", "evening"])).toMatchObject({
    code: 4,
    stderr: "No deployment has the id or name evening.\n",
  });
  const wrong = await exoloop([...create, "--cron", "0 25 * * *"]);
  expect(wrong).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringContaining("hour: 25 is not within 0 to 23"),
  });
});

test("Ctrl-C detaches with 130 and the session goes on until it is stopped", { timeout: 30_000 }, async () => {
  const running = start(["run", script([{ text: "slow", delayMs: 60_000 }])]);
  const id = await running.shows(/session (sesn_\w+)/);
  await running.shows(/Do this/);
  running.child.kill("SIGINT");
  const ended = await running.ended;
  expect(ended.code).toBe(130);
  expect(ended.stderr).toContain(`exoloop sessions attach ${id}`);
  const client = createClient({ baseUrl: started.url, apiKey: started.api_key });
  expect((await client.sessions.retrieve(id)).status).toBe("running");
  expect(await exoloop(["sessions", "stop", id])).toMatchObject({ code: 0, stdout: "" });
  const attached = start(["sessions", "attach", id, "--json"]);
  await attached.shows(/session\.status_idle/);
  attached.child.kill("SIGINT");
  expect((await attached.ended).code).toBe(130);
});

test("without --agent and --model it is the server's default model, also when the agent is older", async () => {
  const client = createClient({ baseUrl: started.url, apiKey: started.api_key });
  expect((await client.models.list({ limit: 1 })).data[0]?.id).toBe("scripted");
  const other = await exoloop(["run", "--model", "scripted/inline", "hello"]);
  expect(other.stderr).toContain("model scripted/inline");
  expect((await exoloop(["run", "hello"])).stderr).toMatch(/model scripted$/m);
});

test("a call that needs approval ends with 5 and says how to answer", async () => {
  const client = createClient({ baseUrl: started.url, apiKey: started.api_key });
  const ask = { enabled: true, permission_policy: { type: "always_ask" as const } };
  await client.agents.create({
    name: "asks",
    model: "scripted",
    tools: [{ type: "agent_toolset_20260401", default_config: ask }],
  });
  const task = script([{ toolCalls: [{ name: "bash", input: { command: "ls" } }] }, { text: "Done." }]);
  const ended = await exoloop(["run", "--agent", "asks", task]);
  expect(ended.code).toBe(5);
  expect(ended.stdout).toMatch(/waits for approval: sevt_\w+/);
  expect(ended.stderr).toContain("/allow");
});

test("a budget that is reached ends with 6 and says how to go on, from the command line too", async () => {
  expect((await exoloop(["budgets", "set", "--user", "*"])).code).toBe(2);
  expect((await exoloop(["budgets", "set", "--steps", "0"])).code).toBe(2);
  await exoloop(["budgets", "set", "--user", "*", "--period", "total", "--tokens", "1"]);
  const ended = await exoloop(["run", script([{ toolCalls: [{ name: "none", input: {} }] }, { text: "Done." }])]);
  expect(ended.code).toBe(6);
  expect(ended.stdout).toMatch(/the budget of the user is used up: \d+ of 1 tokens/);
  const [id = ""] = /sesn_\w+/.exec(ended.stderr) ?? [];
  expect(ended.stderr).toContain(`exoloop budgets set --session ${id}`);
  expect((await exoloop(["budgets", "list"])).stdout).toMatch(/user +\* +total +1 tokens/);
  await exoloop(["budgets", "set", "--session", id, "--steps", "40"]);
  const held = await exoloop(["sessions", "show", id]);
  expect(held.stdout).toMatch(/budget +\d+ of 40 steps/);
  expect((await exoloop(["budgets", "unset", "--user", "*", "--period", "total"])).stderr).toContain("Removed");
  const attached = start(["sessions", "attach", id]);
  await attached.shows(/Done\./);
  attached.child.kill("SIGINT");
  await attached.ended;
  const usage = await exoloop(["usage", "--scope", "organization"]);
  expect(usage.stdout).toMatch(/organization +org_\w+ +\d+/);
  const csv = await exoloop(["usage", "--period", "day", "--csv"]);
  expect(csv.stdout.split("\r\n")[0]).toContain("scope,subject,period,period_start,");
});

test("webhooks: the secret alone on standard output, deliveries signed with it, and gone when deleted", async () => {
  const created = await exoloop(["webhooks", "create", "ci"]);
  expect(created).toMatchObject({ code: 0, stdout: expect.stringMatching(/^whsec_\S+\n$/) });
  const send = (secret: string, ...more: string[]) =>
    exoloop(["webhooks", "send", "ci", '{"build":7}', ...more], { EXOLOOP_WEBHOOK_SECRET: secret });
  expect(await send(created.stdout, "--id", "msg_1")).toMatchObject({ code: 0, stderr: "Delivered msg_1 to ci.\n" });
  const rotated = await exoloop(["webhooks", "rotate", "ci", "--json"]);
  const { secret } = JSON.parse(rotated.stdout) as { secret: string };
  expect(await send(created.stdout)).toMatchObject({ code: 3, stderr: expect.stringContaining("webhook-signature") });
  expect((await send(secret)).code).toBe(0);
  expect((await exoloop(["webhooks", "list"])).stdout).toMatch(/ci .*\/v1\/x\/webhooks\/whk_/);
  expect((await exoloop(["webhooks", "create", "ci"])).stderr).toContain("there is a webhook with the name ci");
  expect((await exoloop(["webhooks", "delete", "ci"])).code).toBe(0);
  expect((await exoloop(["webhooks", "rotate", "ci"])).code).toBe(4);
});

test("sessions send --queue is a message that waits for the end of what runs", async () => {
  const { webhooks } = createClient({ baseUrl: started.url, apiKey: started.api_key });
  const { id: webhook, secret } = await webhooks.create({ name: "go-on" });
  const wait = { toolCalls: [{ name: "wait_for", input: { webhook: "go-on" } }] };
  const running = start(["run", script([wait, { text: "First." }, { text: "Second." }])]);
  const id = await running.shows(/session (sesn_\w+)/);
  expect((await exoloop(["sessions", "send", id, "And then?", "--queue"])).code).toBe(0);
  await webhooks.deliver(webhook, { secret, payload: "now" });
  const { code, stdout } = await running.ended;
  expect(code).toBe(0);
  expect(stdout).toMatch(/\(queued\) And then\?[^]*● First\.[^]*● Second\./);
});

test("a model that does not exist fails with 1 and says so", async () => {
  const ended = await exoloop(["run", "--model", "claude-none", "hello"]);
  expect(ended.code).toBe(1);
  expect(`${ended.stdout}${ended.stderr}`).toContain("claude-none");
});

test("a wrong key is 3, an unknown session or agent is 4", async () => {
  expect((await exoloop(["sessions", "list"], { EXOLOOP_API_KEY: "wrong" })).code).toBe(3);
  expect((await exoloop(["sessions", "show", "sesn_01ARZ3NDEKTSV4RRFFQ69G5FAV"])).code).toBe(4);
  expect((await exoloop(["run", "--agent", "nobody", "x"])).code).toBe(4);
});

test("a home in use is one sentence, and its server goes on", { timeout: 30_000 }, async () => {
  const ended = await exoloop(["up", "--port", "0", "--sandbox", "none"]);
  expect(ended).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining(home) });
  expect(ended.stderr).not.toMatch(/\n\s+at /);
  expect((await exoloop(["sessions", "list"])).code).toBe(0);
});

test("a port that is taken is one sentence", { timeout: 60_000 }, async () => {
  const other = join(home, "other");
  const { port } = new URL(started.url);
  const ended = await exoloop(["up", "--home", other, "--port", port, "--sandbox", "none"], {
    EXOLOOP_LOG_LEVEL: "error",
  });
  await stopEmbeddedPostgres({ directory: join(other, "postgres") });
  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain(port);
  expect(ended.stderr).not.toMatch(/\n\s+at /);
});

test("without bubblewrap `up` names it and ends, and nothing of it goes on", { timeout: 60_000 }, async () => {
  const other = await mkdtemp(join(tmpdir(), "exoloop-commands-"));
  try {
    const ended = await exoloop(["up", "--port", "0"], { PATH: "/nonexistent", EXOLOOP_HOME: other });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("bubblewrap is not installed\nInstall it: ");
  } finally {
    await stopEmbeddedPostgres({ directory: join(other, "postgres") });
    await rm(other, { recursive: true, force: true });
  }
});
