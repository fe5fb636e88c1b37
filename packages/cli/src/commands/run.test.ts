import { expect, test } from "vitest";
import { CommandError } from "../exit-codes.ts";
import { choose } from "./run.ts";

const agents = [
  { id: "agent_1", name: "coder" },
  { id: "agent_2", name: "twin" },
  { id: "agent_3", name: "twin" },
  { id: "agent_4", name: "agent_1" },
];

function failureOf(wanted: string) {
  try {
    choose(agents, wanted, "agent");
  } catch (error) {
    if (error instanceof CommandError) return { message: error.message, exitCode: error.exitCode };
  }
  return null;
}

test("an id wins over a name", () => {
  expect(choose(agents, "coder", "agent").id).toBe("agent_1");
  expect(choose(agents, "agent_1", "agent").id).toBe("agent_1");
});

test("an unknown name is not found, a shared one is the caller's to decide", () => {
  expect(failureOf("nobody")?.exitCode).toBe(4);
  expect(failureOf("twin")).toMatchObject({
    exitCode: 2,
    message: expect.stringContaining("agent_2, agent_3"),
  });
});
