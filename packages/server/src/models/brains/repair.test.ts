import { expect, test } from "vitest";
import { type BrainCall, runBrain, type ToolAnswer } from "../testing/brain-run.ts";
import { repairBrain } from "./repair.ts";

const failing = `a1b2c3d First commit
✔ splitRent loses no cent (0.5ms)
✖ addFee rounds to the nearest cent (1.1ms)
ℹ tests 2
ℹ pass 1
ℹ fail 1

✖ failing tests:

✖ addFee rounds to the nearest cent (1.1ms)
  AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:

  41 !== 42
`;
const passing = "check 1/1\nℹ tests 2\nℹ pass 2\nℹ fail 0\n";
const source = [
  "     1\tconst unit = 100;",
  "     2\texport function splitRent(cents) {",
  "     3\t  return Math.floor(cents / 2);",
  "     4\t}",
  "     5\texport function addFee(cents, percent) {",
  "     6\t  return cents + Math.floor((cents * percent) / 100);",
  "     7\t}",
].join("\n");
const replaced = "<sandbox_replaced>\nThe sandbox was lost; generation 2 has taken its place.\n</sandbox_replaced>\n";
const survived = "a1b2c3d First commit\n M src/fees.js\n src/fees.js | 2 +-\n";

/** Answers of a project that the brain has not seen; `answers` come first, in order, for commands that contain the key. */
function project(answers: Record<string, ToolAnswer[]> = {}) {
  return ({ name, input }: BrainCall): ToolAnswer => {
    const command = String(input.command ?? "");
    const key = Object.keys(answers).find((candidate) =>
      name === "bash" ? command.includes(candidate) : candidate === name,
    );
    const special = key === undefined ? undefined : answers[key]?.shift();
    if (special !== undefined) return special;
    if (name === "read") return String(input.file_path).startsWith("/skills/") ? "# Repair" : source;
    if (name === "grep")
      return "test/fees.test.js:1:import addFee\nsrc/fees.js:5:export function addFee(cents, percent) {";
    if (name !== "bash") return "ok";
    if (command.includes("diff --stat")) return survived;
    if (command.includes("check.sh")) return passing;
    if (command.includes("commit")) return "e4f5a6b Round the result of addFee to whole cents\n";
    if (command.startsWith("cat ")) return "# Repaired: addFee";
    return failing;
  };
}

const names = (calls: readonly BrainCall[]) =>
  calls.map(({ name, input }) => (name === "bash" ? String(input.command) : name));
const count = (calls: readonly BrainCall[], part: string) => names(calls).filter((name) => name.includes(part)).length;

test("repairs what it finds, from the names in the tests' output", async () => {
  const { calls, conclusion } = await runBrain(repairBrain, project());
  expect(names(calls)).toEqual([
    "read",
    "git log --oneline -n 5 && git status --short && node --test",
    "grep",
    "read",
    "edit",
    "sh ./check.sh",
    expect.stringContaining("git add -A"),
    "write",
    'cat "$MEMORY/org/repair-addFee.md"',
  ]);
  expect(calls[2]?.input).toMatchObject({ pattern: "function addFee" });
  expect(calls[3]?.input).toEqual({ file_path: "/workspace/src/fees.js" });
  expect(calls[4]?.input).toEqual({
    file_path: "/workspace/src/fees.js",
    old_string: "  return cents + Math.floor((cents * percent) / 100);",
    new_string: "  return cents + Math.round((cents * percent) / 100);",
  });
  expect(calls[7]?.input).toMatchObject({ file_path: "/memory/org/repair-addFee.md" });
  expect(conclusion).toContain("1 of 2 tests failed");
  expect(conclusion).toContain("all 2 pass");
  expect(conclusion).not.toContain("replaced");
});

test("after a replacement it looks at what survived, then checks again", async () => {
  const { calls, conclusion } = await runBrain(
    repairBrain,
    project({ "check.sh": [`${replaced}The command was interrupted.`] }),
  );
  const at = names(calls).indexOf("sh ./check.sh");
  expect(names(calls)[at + 1]).toMatch(/^git status --short && git diff --stat/);
  expect(names(calls)[at + 2]).toBe("sh ./check.sh");
  expect(count(calls, "edit")).toBe(1);
  expect(conclusion).toContain("replaced once");
});

test("an unknown outcome without a replacement is looked at too", async () => {
  const { calls, conclusion } = await runBrain(
    repairBrain,
    project({ "check.sh": [{ error: "Interrupted, outcome unknown." }] }),
  );
  expect(count(calls, "diff --stat")).toBe(1);
  expect(count(calls, "check.sh")).toBe(2);
  expect(conclusion).toContain("all 2 pass");
});

test("lost work is done again", async () => {
  const answers = { "diff --stat": ["a1b2c3d First commit\n"], "check.sh": [replaced] };
  const { calls, conclusion } = await runBrain(repairBrain, project(answers));
  expect(count(calls, "edit")).toBe(2);
  expect(conclusion).toContain("all 2 pass");
});

test("a note that exists already is read, then brought up to date", async () => {
  const { calls, conclusion } = await runBrain(
    repairBrain,
    project({ write: [{ error: "/memory/org/repair-addFee.md exists and this session has not read it." }] }),
  );
  expect(names(calls).slice(-4)).toEqual(["write", "read", "write", expect.stringContaining("cat ")]);
  expect(calls.at(-3)?.input).toEqual({ file_path: "/memory/org/repair-addFee.md" });
  expect(calls.at(-2)?.input).toEqual(calls.at(-4)?.input);
  expect(conclusion).toContain("The note for the others is in /memory/org/repair-addFee.md");
});

test("a note that can neither be written nor read: the reason is that of the write", async () => {
  const usual = project();
  const { calls, conclusion } = await runBrain(repairBrain, (call) => {
    if (call.name === "write") return { error: "read-only" };
    return String(call.input.file_path).startsWith("/memory/") ? { error: "no such file" } : usual(call);
  });
  expect(count(calls, "write")).toBe(1);
  expect(conclusion).toContain("I could not write the note: read-only");
});

test("a commit that was made before the sandbox died is found, not repeated", async () => {
  const answers = { "diff --stat": ["e4f5a6b Round the result of addFee to whole cents\n"], "git add": [replaced] };
  const { calls, conclusion } = await runBrain(repairBrain, project(answers));
  expect(count(calls, "git add")).toBe(1);
  expect(conclusion).toContain("e4f5a6b");
});

test.each<[string, Record<string, ToolAnswer[]>, string]>([
  ["passing tests", { "node --test": [passing] }, "nothing to repair"],
  ["no tests", { "node --test": ["sh: node: not found"] }, "The tests did not run: sh: node: not found"],
  ["another mistake", { "node --test": [failing.replace("41 !== 42", "1 !== 42")] }, "do not see what is wrong"],
  ["a name that says nothing", { "node --test": [failing.replaceAll("addFee", "it")] }, "does not say which function"],
  ["nothing found", { grep: ["no matches"] }, "I did not find the function: no matches"],
  ["a failed edit", { edit: [{ error: "old_string not found" }] }, "The edit failed: old_string not found"],
  ["a repair that does not help", { "check.sh": [failing] }, "tests still fail, 1 of 2"],
  ["a commit that fails", { "git add": ["fatal: dubious ownership"] }, "The commit failed: fatal: dubious ownership"],
  [
    "a note that cannot be written",
    { write: [{ error: "exists" }, { error: "changed since" }] },
    "could not write the note: changed since",
  ],
])("says so and stops: %s", async (_name, answers, conclusion) => {
  expect((await runBrain(repairBrain, project(answers))).conclusion).toContain(conclusion);
});

test("gives up on a sandbox that never lives long enough", async () => {
  const always = project();
  const { conclusion } = await runBrain(repairBrain, (call) =>
    call.input.command === "sh ./check.sh" ? replaced : always(call),
  );
  expect(conclusion).toContain("no end in sight");
});

test("a new task begins anew", () => {
  const user = (text: string) => ({ role: "user", content: [{ type: "text", text }] }) as const;
  const call = {
    type: "tool_call",
    callId: "c",
    toolName: "read",
    input: { file_path: "/skills/repair/SKILL.md" },
  } as const;
  const results = [
    { callId: "c", toolName: "read", content: [{ type: "text", text: "# Repair" }] as const, isError: false },
  ];
  const done = [user("Repair it."), { role: "assistant", content: [call] }, { role: "tool", results }] as const;
  const steered = repairBrain({ messages: [...done, user("And hurry.")], tools: [] });
  expect(steered.toolCalls?.[0]?.name).toBe("bash");
  const answer = { role: "assistant", content: [{ type: "text", text: "Done." }] } as const;
  const again = repairBrain({ messages: [...done, answer, user("Once more.")], tools: [] });
  expect(again.toolCalls?.[0]?.name).toBe("read");
});
