/** Skills in real turns: what each request to the model holds, while others change the skills. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { skillManifest } from "../files/testing-skills.ts";
import { skillsMount } from "../files/mounts.ts";
import { createStoredFiles, type StoredFiles } from "../files/postgres/stored-files.ts";
import type { ModelProvider, ModelRequest } from "../models/model.ts";
import { createModels } from "../models/registry.ts";
import type { LogEvent } from "../sessions/event.ts";
import { insertTestSession, type TestSession } from "../sessions/testing-database.ts";
import { readTurnSkills } from "../skills/turn-skills.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";

const requests: ModelRequest[] = [];
/** Done before the model answers. */
let meanwhile: () => Promise<unknown> = () => Promise.resolve();
const played = createModels({});
const recorded: ModelProvider = {
  ...played,
  async *stream(request) {
    requests.push(request);
    await meanwhile();
    yield* played.stream(request);
  },
};

describe("a turn", () => {
  let turns: TurnTest;
  let files: StoredFiles;
  let session: TestSession;
  beforeAll(async () => {
    turns = await startTurnTest({
      models: recorded,
      readSkills: (claim, known) => readTurnSkills(files.sessionSkills, claim, known),
    });
    files = createStoredFiles(turns.test.database);
  }, 60_000);
  afterAll(() => turns.stop());
  beforeEach(async () => {
    requests.length = 0;
    meanwhile = () => Promise.resolve();
    session = await insertTestSession(turns.test.database);
  });

  const learn = (name: string, description: string) =>
    files.importSkill(session.organizationId, name, [skillManifest(name, "Do it.\n", description)]);
  const say = async (count: number, ...steps: object[]) => {
    await turns.send(session, script(steps));
    return turns.eventually(session, idleTimes(count));
  };
  const pins = (events: readonly LogEvent[]) =>
    events.flatMap((event) => (event.type === "x.skills" ? [event.record] : []));
  const heads = () => new Set(requests.map(({ system, tools }) => JSON.stringify([system, tools]))).size;
  const tail = (request: ModelRequest | undefined) => JSON.stringify(request?.messages.at(-1));

  it("begins with the skills there are, and sees no others until the next", async () => {
    await learn("review", "Reviews code.");
    meanwhile = () => learn("audit", "Audits <b>code</b>.".replaceAll(/<.?b>/g, ""));
    const first = await say(1, { text: "One.", toolCalls: [{ name: "read", input: {} }] }, { text: "Two." });
    expect(requests).toHaveLength(2);
    expect(requests[0]?.system).toContain("- review (/skills/review/SKILL.md): Reviews code.");
    expect(requests[0]?.system).not.toContain("audit");
    expect(pins(first)).toEqual([{ revision: 1, listing: expect.stringContaining("review") as string }]);
    expect(await files.sessionSkills.pinned(session)).toBe(1);
    expect([...(await files.sessionSkills.at(session, 1)).files.keys()]).toEqual(["/skills/review/SKILL.md"]);
    expect(JSON.stringify(requests)).not.toContain("audit");

    meanwhile = () => Promise.resolve();
    const second = await say(2, { text: "Three." });
    expect(tail(requests[2])).toContain("new: audit (/skills/audit/SKILL.md): Audits code.");
    expect(pins(second).slice(1)).toEqual([{ revision: 2, note: expect.stringContaining("audit") as string }]);
    expect(await files.sessionSkills.pinned(session)).toBe(2);
    // What the provider has cached of the first request is good for the third.
    expect(heads()).toBe(1);
    expect(requests[2]?.messages.slice(0, 3)).toEqual(requests[1]?.messages);

    const third = await say(3, { text: "Four." });
    expect(pins(third)).toHaveLength(2);
    expect(heads()).toBe(1);
  });

  it("is told of a change and of a removal, once", async () => {
    await learn("review", "Reviews code.");
    await learn("write", "Writes.");
    await say(1, { text: "One." });
    await learn("review", "Reviews it all.");
    const gone = ["/skills/write/SKILL.md"];
    const actor = { organizationId: session.organizationId, sessionId: null, toolUseId: null, via: "api" as const };
    await files.commit({ mount: skillsMount, actor, paths: gone }, () => ({
      changes: gone.map((path) => ({ type: "delete" as const, path })),
      result: null,
    }));
    await say(2, { text: "Two." });
    expect(tail(requests[1])).toContain("gone: write");
    expect(tail(requests[1])).toContain("changed: review (/skills/review/SKILL.md): Reviews it all.");
    await say(3, { text: "Three." });
    expect(tail(requests[2])).not.toContain("skills_update");
  });

  it("of a session that began before there were skills is told at its tail", async () => {
    await say(1, { text: "One." });
    expect(requests[0]?.system).not.toContain("<skills>");
    await learn("review", "Reviews code.");
    await say(2, { text: "Two." });
    expect(tail(requests[1])).toContain("<skills>");
    expect(heads()).toBe(1);
  });

  it("that only a message during it has reached sees what it saw", async () => {
    await learn("review", "Reviews code.");
    meanwhile = async () => {
      meanwhile = () => Promise.resolve();
      await learn("audit", "Audits.");
      await turns.send(session, { type: "user.message", content: [{ type: "text", text: "Faster." }] });
    };
    await say(1, { text: "One.", toolCalls: [{ name: "read", input: {} }] }, { text: "Two." });
    expect(JSON.stringify(requests.slice(0, 2))).not.toContain("audit");
    expect(await files.sessionSkills.pinned(session)).toBe(1);
  });
});
