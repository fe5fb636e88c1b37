import { expect, it } from "vitest";
import { memoryStore } from "../files/testing-store.ts";
import { answerOf, callTool, filesOf } from "./testing.ts";

it("lets others run while it finds what matches of each line", async () => {
  const files = filesOf(memoryStore({ "/workspace/a": `${"a".repeat(500)}\n`.repeat(20) }));
  const actor = { organizationId: "org_1", sessionId: "sesn_1", toolUseId: null, via: "tool" as const };
  let turns = 0;
  let searching = true;
  const other = (async () => {
    for (; searching; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  })();
  const input = { pattern: "(((|a){70}){70})*", "-o": true, "-n": false };
  const answer = answerOf(await callTool("grep", input, { files, actor, toolUseId: "evt_1" }));
  searching = false;
  await other;
  expect(answer).toContain(`/workspace/a:${"a".repeat(500)}`);
  expect(turns).toBeGreaterThan(20);
}, 60_000);
