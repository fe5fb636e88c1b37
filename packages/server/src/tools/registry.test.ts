import { describe, expect, it } from "vitest";
import { createReservedStore } from "../files/router.ts";
import { describeOutcome } from "./bash.ts";
import { builtInTools } from "./built-in.ts";
import { createToolRegistry } from "./registry.ts";
import { filesOf, noBackground } from "./testing.ts";
import type { CommandOutcome, CommandRunner, ToolContext } from "./tool.ts";

const registry = createToolRegistry(builtInTools);

function contextWith(run: CommandRunner["run"], background = noBackground): ToolContext {
  return {
    toolUseId: "sevt_1",
    actor: { organizationId: "org_1", sessionId: "sesn_1", toolUseId: "sevt_1", via: "tool" },
    files: filesOf(createReservedStore("Nothing is here.")),
    commands: { run },
    background,
    abortSignal: new AbortController().signal,
    resumed: false,
  };
}

const finished: CommandOutcome = {
  output: "done\n",
  truncated: false,
  exit: { type: "exited", code: 0 },
  notices: [],
  awakeMs: 12,
};

async function call(
  name: string,
  input: Record<string, unknown> | null,
  run: CommandRunner["run"] = () => Promise.resolve(finished),
) {
  const tool = registry.find(name);
  if (tool === undefined) throw new Error(`no tool ${name}`);
  const result = await registry.run(tool, input, contextWith(run));
  return {
    isError: result.isError,
    text: result.content.map((part) => (part.type === "text" ? part.text : part.mediaType)).join("\n"),
  };
}

describe("definitions", () => {
  it("are objects without surprises, in a fixed order", () => {
    expect(registry.definitions.map((definition) => definition.name)).toEqual([
      "bash",
      "bash_output",
      "kill_bash",
      "read",
      "write",
      "edit",
      "glob",
      "grep",
      "memory",
      "str_replace_based_edit_tool",
      "apply_patch",
      "ls",
      "promote_memory",
    ]);
    for (const { inputSchema, description } of registry.definitions) {
      expect(inputSchema).toMatchObject({ type: "object", additionalProperties: false });
      expect(description.length).toBeGreaterThan(40);
    }
    expect(registry.find("edit")?.definition.inputSchema).toMatchObject({
      required: ["file_path", "old_string", "new_string"],
    });
  });
  it("say how each call may be repeated", () => {
    expect(builtInTools.map((tool) => [tool.definition.name, tool.replay, tool.parallel])).toEqual([
      ["bash", "reattach", false],
      ["bash_output", "safe", true],
      ["kill_bash", "safe", false],
      ["read", "safe", true],
      ["write", "safe", false],
      ["edit", "never", false],
      ["glob", "safe", true],
      ["grep", "safe", true],
      ["memory", "never", false],
      ["str_replace_based_edit_tool", "never", false],
      ["apply_patch", "never", false],
      ["ls", "safe", true],
      ["promote_memory", "safe", false],
    ]);
  });
  it("have one tool for each name", () => {
    expect(() => createToolRegistry([...builtInTools, ...builtInTools])).toThrow();
  });
});

describe("arguments", () => {
  it.each<[string, Record<string, unknown> | null, RegExp]>([
    ["bash", null, /not a JSON object/],
    ["bash", {}, /command is missing/],
    ["bash", { command: "ls", timeout_ms: 700_000 }, /timeout_ms: .*600000/],
    ["bash", { command: "ls", run_in_background: "yes" }, /run_in_background/],
    ["bash", { command: "ls", run_in_background: true, lease_seconds: 21_601 }, /lease_seconds: .*21600/],
    ["bash_output", { bash_id: "x", filter: "(" }, /not a valid regular expression/],
    ["bash_output", { bash_id: "x", offset: -1 }, /offset/],
    ["kill_bash", {}, /bash_id/],
    ["read", {}, /file_path/],
    ["read", { file_path: "/../x" }, /leads out of the file system/],
    ["write", { file_path: "/x", content: 5 }, /content: /],
    ["edit", { file_path: "/x", old_string: "a", new_string: "a" }, /are exactly the same/],
    ["edit", { file_path: "/x", old_string: "", new_string: "a" }, /is empty/],
    ["glob", { pattern: "*", path: "" }, /is empty/],
    ["grep", { pattern: "x", output_mode: "all" }, /output_mode/],
    ["write", { file_path: "/x", content: "a" }, /Nothing can be stored at \/x/],
  ])("%s %j is answered with what is wrong", async (name, input, expected) => {
    const { isError, text } = await call(name, input);
    expect(isError).toBe(true);
    expect(text).toMatch(expected);
    expect(text.startsWith(`${name}: `)).toBe(true);
  });

  it("may have the names that models are used to", async () => {
    const seen: number[] = [];
    const run: CommandRunner["run"] = async ({ timeoutMs }) => {
      seen.push(timeoutMs);
      return finished;
    };
    expect(await call("bash", { command: "ls", timeout: 5_000, description: null }, run)).toEqual({
      isError: false,
      text: "done",
    });
    const bash = registry.find("bash");
    if (bash === undefined) throw new Error("no bash");
    const result = await registry.run(bash, { command: "ls" }, contextWith(run));
    expect(result.sandboxAwakeMs).toBe(12);
    expect(seen).toEqual([5_000, 120_000]);
    expect(await call("grep", { pattern: "x", "-n": true, "-i": true, path: "/memory" })).toEqual({
      isError: false,
      text: "No matches found",
    });
    expect(await call("bash", { restart: true })).toMatchObject({ isError: false });
  });
  it("named like members of every object are refused, not obeyed", async () => {
    const input: Record<string, unknown> = JSON.parse('{"command": "ls", "__proto__": {"timeout_ms": 1}}');
    expect(await call("bash", input)).toMatchObject({ isError: true });
  });
});

describe("what a command's end looks like", () => {
  it.each<[CommandOutcome["exit"], string]>([
    [{ type: "exited", code: 0 }, "<n>\nout"],
    [{ type: "exited", code: 1 }, "<n>\nout\n[exit 1]"],
    [{ type: "signalled", signal: 9 }, "<n>\nout\n[killed by signal 9]"],
    [{ type: "timed_out" }, "<n>\nout\n[timed out after 1000 ms]"],
    [{ type: "interrupted" }, "<n>\nout\n[interrupted: the user stopped this command]"],
    [{ type: "unknown", reason: "lost" }, "<n>\nout\n[interrupted: lost; its outcome is unknown]"],
  ])("%j", (exit, expected) => {
    expect(describeOutcome({ output: "out\n", truncated: false, exit, notices: ["<n>"] }, 1_000)).toBe(expected);
  });
  it("is never empty", () => {
    expect(
      describeOutcome({ output: "", truncated: false, exit: { type: "exited", code: 0 }, notices: [] }, 1_000),
    ).toBe("[no output]");
  });
});
