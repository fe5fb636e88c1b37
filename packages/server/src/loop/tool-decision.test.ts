import type { ToolFamily } from "@exoloop/protocol/tools";
import { expect, it } from "vitest";
import { builtInTools } from "../tools/built-in.ts";
import { createToolRegistry } from "../tools/registry.ts";
import { workerTools } from "../tools/worker-tools.ts";
import { type AgentSnapshot, describeRequest, inSandbox } from "./context.ts";
import { decideTool } from "./tool-decision.ts";
import { initialState } from "../sessions/state.ts";

const registry = createToolRegistry(builtInTools);
const asking: AgentSnapshot = {
  name: "a",
  system: null,
  model: { id: "scripted" },
  tools: [
    {
      type: "agent_toolset_20260401",
      default_config: { enabled: true, permission_policy: { type: "always_allow" } },
      configs: [{ name: "bash", enabled: true, permission_policy: { type: "always_ask" } }],
    },
  ],
};
const own: AgentSnapshot = {
  ...asking,
  tools: [...asking.tools, { type: "custom", name: "KillShell", description: "theirs", input_schema: {} }],
};

it("decides on a tool alike by each of its names", () => {
  for (const name of ["bash", "kill_bash", "KillShell", "BashOutput"]) {
    expect(decideTool(registry, asking, [], name)).toMatchObject({ decision: "ask", custom: false });
  }
  expect(decideTool(registry, asking, [], "read").decision).toBe("allow");
});

it("lets a client's own tool come first, which is then shown once", () => {
  expect(decideTool(registry, own, [], "KillShell")).toMatchObject({ decision: "allow", custom: true });
  const theirs = { type: "custom" as const, name: "bash_output", description: "theirs", input_schema: {} };
  const agent = { ...asking, tools: [...asking.tools, theirs] };
  const { tools } = describeRequest(agent, registry.definitions, [], initialState, inSandbox);
  expect(tools.filter(({ name }) => name === "bash_output")).toMatchObject([{ description: "theirs" }]);
});

it("shows the tools of a family only to agents that name it, in place of those that do the same", () => {
  const shown = (...families: ToolFamily[]) => {
    const [toolset] = asking.tools;
    if (toolset?.type !== "agent_toolset_20260401") throw new Error("no toolset");
    const agent = { ...asking, tools: [{ ...toolset, x_exoloop: { families } }] };
    return describeRequest(agent, registry.definitions, [], initialState, inSandbox).tools.map(({ name }) => name);
  };
  const commands = ["bash", "bash_output", "kill_bash"];
  expect(shown()).toEqual([...commands, "read", "write", "edit", "glob", "grep", "promote_memory", "wait_for"]);
  expect(shown("memory_20250818", "ls")).toEqual([
    ...shown().slice(0, -2),
    "memory",
    "ls",
    "promote_memory",
    "wait_for",
  ]);
  expect(shown("apply_patch")).toEqual([
    ...commands,
    "read",
    "glob",
    "grep",
    "apply_patch",
    "promote_memory",
    "wait_for",
  ]);
  expect(shown("text_editor_20250728")).toEqual([
    ...commands,
    "glob",
    "grep",
    "str_replace_based_edit_tool",
    "promote_memory",
    "wait_for",
  ]);
});

it("shows what there is where a family's tools do not exist", () => {
  const [toolset] = asking.tools;
  if (toolset?.type !== "agent_toolset_20260401") throw new Error("no toolset");
  const agent = { ...asking, tools: [{ ...toolset, x_exoloop: { families: ["apply_patch"] as const } }] };
  const { tools } = describeRequest(agent, workerTools.definitions, [], initialState, inSandbox);
  expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(["write", "edit"]));
});

it("asks where a rule about files asks, whatever the file is called and by whichever tool", () => {
  const [toolset] = asking.tools;
  if (toolset?.type !== "agent_toolset_20260401") throw new Error("no toolset");
  const rule = { action: "file.write", path: "/memory/org", decision: "ask" } as const;
  const agent = { ...asking, tools: [{ ...toolset, x_exoloop: { file_rules: [rule] } }] };
  const decisionOf = (name: string, input: Record<string, unknown>) =>
    decideTool(registry, agent, [], name, input).decision;
  const patch = "*** Begin Patch\n*** Update File: a\n*** Move to: /memory/org/a\n*** End Patch";
  expect(decisionOf("write", { file_path: "/memory/org/a", content: "" })).toBe("ask");
  expect(decisionOf("Write", { path: "/mnt/memory/org/../org/a", content: "" })).toBe("ask");
  expect(decisionOf("edit", { file_path: "/memories/a", old_string: "a", new_string: "b" })).toBe("ask");
  expect(decisionOf("memory", { command: "delete", path: "/memories/a" })).toBe("ask");
  expect(decisionOf("memory", { command: "view", path: "/memories/a" })).toBe("allow");
  expect(decisionOf("apply_patch", { patch })).toBe("ask");
  expect(decisionOf("str_replace_editor", { command: "create", path: "/memory/org/a" })).toBe("ask");
  expect(decisionOf("read", { file_path: "/memory/org/a" })).toBe("allow");
  expect(decisionOf("write", { file_path: "/workspace/a", content: "" })).toBe("allow");
});

it("asks where reading asks, also by tools that show a part of what they change, or move it away", () => {
  const [toolset] = asking.tools;
  if (toolset?.type !== "agent_toolset_20260401") throw new Error("no toolset");
  const rule = { action: "file.read", path: "/memory/org/hr\u00e9", decision: "ask" } as const;
  const agent = { ...asking, tools: [{ ...toolset, x_exoloop: { file_rules: [rule] } }] };
  const decisionOf = (name: string, input: Record<string, unknown>) =>
    decideTool(registry, agent, [], name, input).decision;
  const path = "/memory/org/hre\u0301/a.md";
  const patch = `*** Begin Patch\n*** Update File: ${path}\n*** Move to: /workspace/a\n*** End Patch`;
  expect(decisionOf("read", { file_path: path })).toBe("ask");
  expect(decisionOf("str_replace_editor", { command: "insert", path, insert_line: 0, insert_text: "" })).toBe("ask");
  expect(decisionOf("memory", { command: "str_replace", path, old_str: "a", new_str: "b" })).toBe("ask");
  expect(decisionOf("memory", { command: "rename", old_path: path, new_path: "/memories/b" })).toBe("ask");
  expect(decisionOf("apply_patch", { patch })).toBe("ask");
});
