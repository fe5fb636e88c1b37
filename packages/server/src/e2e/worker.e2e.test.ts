/** The official SDK's own worker of self-hosted environments, with its own tools, against this server. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import Anthropic, { toFile } from "@anthropic-ai/sdk";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { scriptedMessage, startTestServer, type TestServer } from "./running.ts";
import { createWorkerPlace, isOver, resultsOf, type SessionEvent, textOf, type WorkerPlace } from "./worker-place.ts";

const command = (text: string) => ({ toolCalls: [{ name: "bash", input: { command: text } }] });
const done = { text: "Done." };

describe("the SDK's worker", () => {
  let server: TestServer;
  let sdk: Anthropic;
  let place: WorkerPlace;
  beforeAll(async () => {
    server = await startTestServer();
    sdk = server.sdk;
  }, 60_000);
  afterAll(() => server.stop());
  beforeEach(async () => {
    place = await createWorkerPlace(server);
  });
  afterEach(() => place.leave());

  const itemsAre = (...states: string[]) =>
    expect.poll(async () => (await place.items()).map((item) => item.state), { timeout: 15_000 }).toEqual(states);
  const isAtWork = () => expect.poll(() => place.exists("at-work"), { timeout: 20_000 }).toBe(true);

  it("runs bash, write, read, edit, glob and grep where it is", async () => {
    place.startWorker();
    const sessionId = await place.newSession();
    await sdk.beta.sessions.events.send(sessionId, {
      events: [
        scriptedMessage([
          { toolCalls: [{ name: "bash", input: { command: "printf 'one\\ntwo\\n' > list.txt; pwd" } }] },
          {
            toolCalls: [
              { name: "write", input: { file_path: "notes/a.md", content: "# Notes\n" } },
              { name: "read", input: { file_path: "list.txt" } },
            ],
          },
          { toolCalls: [{ name: "edit", input: { file_path: "list.txt", old_string: "two", new_string: "three" } }] },
          { toolCalls: [{ name: "glob", input: { pattern: "**/*.md" } }] },
          { toolCalls: [{ name: "grep", input: { pattern: "thr.e" } }] },
          { toolCalls: [{ name: "bash", input: { command: "(exit 3)" } }] },
          { text: "All done." },
        ]),
      ],
    });
    const events = await place.eventually(sessionId, isOver);
    const answers = resultsOf(events);
    expect(answers.map((event) => event.is_error)).toEqual([false, false, false, false, false, false, true]);
    expect(answers.map(textOf).map((text) => text.replaceAll(place.workdir, "."))).toEqual([
      expect.stringContaining("."),
      expect.stringContaining("notes/a.md"),
      "one\ntwo\n",
      expect.any(String),
      expect.stringContaining("notes/a.md"),
      expect.stringContaining("three"),
      expect.stringContaining("exit 3"),
    ]);
    expect(await readFile(join(place.workdir, "list.txt"), "utf8")).toBe("one\nthree\n");
    // No sandbox of this server was made, and nothing of it was asked for.
    expect((await sdk.beta.sessions.retrieve(sessionId)).status).toBe("idle");
    const sandboxes: { data: { session_id: string }[] } = await sdk.get("/v1/x/sandboxes");
    expect(sandboxes.data.map((sandbox) => sandbox.session_id)).not.toContain(sessionId);
    // The item ends a moment after the turn, and the next message makes another.
    await itemsAre("stopped");
    await sdk.beta.sessions.events.send(sessionId, {
      events: [
        scriptedMessage([{ toolCalls: [{ name: "bash", input: { command: "cat list.txt" } }] }, { text: "Yes." }]),
      ],
    });
    const again = await place.eventually(sessionId, (all) => isOver(all) && resultsOf(all).length === 8);
    expect(textOf(resultsOf(again).at(-1) ?? {})).toContain("three");
  });

  it("waits for an approval before it runs what is asked about, and runs nothing that is denied", async () => {
    place.startWorker();
    const sessionId = await place.newSession({ policy: "always_ask" });
    await sdk.beta.sessions.events.send(sessionId, {
      events: [
        scriptedMessage([
          { toolCalls: [{ name: "bash", input: { command: "touch allowed" } }] },
          { toolCalls: [{ name: "bash", input: { command: "touch denied" } }] },
          done,
        ]),
      ],
    });
    const asked = (count: number) => (events: readonly SessionEvent[]) =>
      events.filter((event) => event.type === "agent.tool_use").length === count &&
      events.at(-1)?.type === "session.status_idle";
    const call = (events: readonly SessionEvent[]) =>
      events.findLast((event) => event.type === "agent.tool_use")?.id ?? "";
    const first = call(await place.eventually(sessionId, asked(1)));
    // Nobody needs a worker yet.
    expect(await place.items()).toEqual([]);
    const early = { type: "user.tool_result" as const, tool_use_id: first, content: [] };
    await expect(sdk.beta.sessions.events.send(sessionId, { events: [early] })).rejects.toThrow("no call");
    const answer = (tool_use_id: string, result: "allow" | "deny") =>
      sdk.beta.sessions.events.send(sessionId, { events: [{ type: "user.tool_confirmation", tool_use_id, result }] });
    await answer(first, "allow");
    const second = call(await place.eventually(sessionId, asked(2)));
    await answer(second, "deny");
    const events = await place.eventually(sessionId, isOver);
    expect(resultsOf(events).map((event) => [event.tool_use_id, event.is_error])).toEqual([
      [first, false],
      [second, true],
    ]);
    await readFile(join(place.workdir, "allowed"));
    await expect(readFile(join(place.workdir, "denied"))).rejects.toThrow();
  });

  it("killed in the middle of a call, is followed by another, which runs the call again", async () => {
    const first = place.spawnWorker();
    const sessionId = await place.newSession();
    // Once is for ever, twice is at once: the kill leaves the first command to itself.
    await place.send(
      sessionId,
      command("if mkdir begun 2>/dev/null; then touch at-work; sleep 20; else echo again; fi"),
      done,
    );
    await isAtWork();
    first.kill("SIGKILL");
    place.startWorker();
    const events = await place.eventually(sessionId, isOver);
    expect(resultsOf(events).map((event) => [textOf(event).trim(), event.is_error])).toEqual([["again", false]]);
    await itemsAre("stopped");
  });

  it("whose item another one has by now leaves it alone", async () => {
    const { environmentId, environmentKey } = place;
    const sessionId = await place.newSession();
    await place.send(sessionId, command("sleep 20; touch done"), done);
    await place.eventually(sessionId, (events) => events.at(-1)?.type === "session.status_idle");
    const client = new Anthropic({
      baseURL: server.exoloop.url,
      apiKey: null,
      authToken: environmentKey,
      maxRetries: 0,
      logLevel: "off",
    });
    const { work } = client.beta.environments;
    const item = await work.poll(environmentId);
    if (item === null) throw new Error("there is no work");
    await work.ack(item.id, { environment_id: environmentId });
    await work.heartbeat(item.id, { environment_id: environmentId, expected_last_heartbeat: "NO_HEARTBEAT" });
    const late = client.beta.environments.work.worker({ workdir: place.workdir });
    await late
      .handleItem({
        workId: item.id,
        environmentId,
        sessionId,
        ...(item.secret === null ? {} : { workSecret: item.secret }),
      })
      .catch(() => undefined);
    expect((await place.items()).map(({ id, state }) => [id, state])).toEqual([[item.id, "active"]]);
    expect(resultsOf(await place.history(sessionId))).toEqual([]);
    expect(await place.exists("done")).toBe(false);
    await sdk.beta.sessions.archive(sessionId);
  });

  it("ends what it runs when the user interrupts, and is there again for the next message", async () => {
    place.startWorker();
    const sessionId = await place.newSession();
    await place.send(sessionId, command("touch at-work; sleep 60; touch done"), done);
    await isAtWork();
    await sdk.beta.sessions.events.send(sessionId, { events: [{ type: "user.interrupt" }] });
    const interrupted = await place.eventually(sessionId, isOver);
    expect(resultsOf(interrupted).map((event) => [event.is_error, textOf(event)])).toEqual([
      [true, expect.stringContaining("interrupted")],
    ]);
    await itemsAre("stopped");
    await place.send(sessionId, command("echo here"), done);
    const events = await place.eventually(sessionId, (all) => isOver(all) && resultsOf(all).length === 2);
    expect(textOf(resultsOf(events).at(-1) ?? {})).toContain("here");
    expect(await place.exists("done")).toBe(false);
  });

  it("has the skills of the agent and the memory stores of the session, and keeps what is written there", async () => {
    place.startWorker();
    const text = "---\nname: greet\ndescription: Greets.\n---\nSay good day.\n";
    const files = [await toFile(Buffer.from(text), "greet/SKILL.md")];
    const skill = await sdk.beta.skills.create({ files });
    const { memoryStores } = sdk.beta;
    const store = await memoryStores.create({ name: `notes ${place.environmentId.slice(-6)}` });
    await memoryStores.memories.create(store.id, { path: "/facts.md", content: "The sky is blue.\n" });
    const agent = await sdk.beta.agents.create({
      name: "tester",
      model: "scripted",
      tools: [{ type: "agent_toolset_20260401" }],
      skills: [{ type: "custom", skill_id: skill.id }],
    });
    const session = await sdk.beta.sessions.create({
      agent: agent.id,
      environment_id: place.environmentId,
      resources: [{ type: "memory_store", memory_store_id: store.id, access: "read_write" }],
    });
    const [attached] = session.resources;
    if (attached?.type !== "memory_store") throw new Error("nothing is attached");
    const mounted = (attached.mount_path ?? "").slice(1);
    await place.send(
      session.id,
      command(`cat skills/greet/SKILL.md ${mounted}/facts.md`),
      { toolCalls: [{ name: "write", input: { file_path: `${mounted}/new.md`, content: "Grass is green.\n" } }] },
      {
        toolCalls: [
          { name: "edit", input: { file_path: `${mounted}/facts.md`, old_string: "blue", new_string: "grey" } },
        ],
      },
      done,
    );
    const answers = resultsOf(await place.eventually(session.id, isOver));
    expect(answers.map((event) => event.is_error)).toEqual([false, false, false]);
    expect(textOf(answers[0] ?? {})).toContain("Say good day.\nThe sky is blue.");
    await itemsAre("stopped");
    const kept = (await memoryStores.memories.list(store.id, { view: "full" })).data;
    const contents = kept.flatMap((item) => (item.type === "memory" ? [[item.path, item.content]] : []));
    expect(Object.fromEntries(contents)).toEqual({
      "/facts.md": "The sky is grey.\n",
      "/new.md": "Grass is green.\n",
    });
    // Of the worker, nothing stays behind.
    expect(await Promise.all(["skills/greet/SKILL.md", `${mounted}/facts.md`].map(place.exists))).toEqual([
      false,
      false,
    ]);
  });

  it("ends with its session", async () => {
    place.startWorker();
    const sessionId = await place.newSession();
    await place.send(sessionId, command("touch at-work; sleep 60; touch done"), done);
    await isAtWork();
    await sdk.beta.sessions.archive(sessionId);
    await itemsAre("stopped");
    expect(await place.exists("done")).toBe(false);
  });

  it("runs the tools of a sub-agent as well", async () => {
    place.startWorker();
    const tools = [{ type: "agent_toolset_20260401" as const }];
    const anna = await sdk.beta.agents.create({ name: "anna", model: "scripted", tools });
    const lead = await sdk.beta.agents.create({
      name: "lead",
      model: "scripted",
      tools,
      multiagent: { type: "coordinator", agents: [{ type: "agent", id: anna.id }] },
    });
    const session = await sdk.beta.sessions.create({ agent: lead.id, environment_id: place.environmentId });
    const [{ text: task } = { text: "" }] = scriptedMessage([
      command("echo $((40 + 2)) > answer"),
      { text: "Written." },
    ]).content;
    await place.send(session.id, { toolCalls: [{ name: "delegate", input: { agent: "anna", task } }] }, done);
    const events = await place.eventually(session.id, isOver);
    expect(resultsOf(events).map((event) => event.session_thread_id)).toEqual([expect.stringMatching(/^sthr_/)]);
    expect(await readFile(join(place.workdir, "answer"), "utf8")).toBe("42\n");
  });
});
