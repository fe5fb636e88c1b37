import { describe, expect, it } from "vitest";
import { type AgentTool, decideCall, type PermissionPolicy } from "./decide-call.ts";
import { callDigest } from "./digest.ts";

const toolset = (policy: PermissionPolicy, enabled = true): AgentTool => ({
  type: "agent_toolset_20260401",
  default_config: { enabled: false, permission_policy: { type: "always_ask" } },
  configs: [{ name: "bash", enabled, permission_policy: { type: policy } }],
});

const decisionOf = (tools: readonly AgentTool[], toolName: string, readsOnly = false) =>
  decideCall(tools, { toolName, readsOnly }).decision;

describe("decideCall", () => {
  it("follows the tool's permission policy", () => {
    expect(decisionOf([toolset("always_allow")], "bash")).toBe("allow");
    expect(decisionOf([toolset("always_ask")], "bash")).toBe("ask");
    expect(decisionOf([toolset("auto")], "bash")).toBe("ask");
    expect(decisionOf([toolset("auto")], "bash", true)).toBe("allow");
  });

  it("denies what the agent does not have", () => {
    expect(decisionOf([], "bash")).toBe("deny");
    expect(decisionOf([toolset("always_allow", false)], "bash")).toBe("deny");
    expect(decisionOf([toolset("always_allow")], "unheard_of")).toBe("deny");
  });

  it("decides on tools for background commands as on bash", () => {
    for (const name of ["bash_output", "kill_bash"]) {
      expect(decisionOf([toolset("always_ask")], name)).toBe("ask");
      expect(decisionOf([toolset("always_allow", false)], name)).toBe("deny");
    }
    expect(decisionOf([toolset("auto")], "bash_output", true)).toBe("allow");
    expect(decisionOf([toolset("auto")], "kill_bash")).toBe("ask");
  });

  it("decides on another family's tool as on the strictest of those that govern it", () => {
    const configured = (edit: PermissionPolicy, enabled = true): AgentTool => ({
      type: "agent_toolset_20260401",
      default_config: { enabled: true, permission_policy: { type: "always_allow" } },
      configs: [{ name: "edit", enabled, permission_policy: { type: edit } }],
    });
    for (const name of ["memory", "str_replace_based_edit_tool", "apply_patch"]) {
      expect(decisionOf([configured("always_allow")], name)).toBe("allow");
      expect(decisionOf([configured("always_ask")], name)).toBe("ask");
      expect(decisionOf([configured("auto")], name)).toBe("ask");
      expect(decisionOf([configured("always_allow", false)], name)).toBe("deny");
      expect(decisionOf([configured("surprise" as PermissionPolicy)], name)).toBe("deny");
    }
    expect(decisionOf([configured("always_ask")], "ls")).toBe("allow");
  });

  it("denies a policy it does not know", () => {
    expect(decisionOf([toolset("surprise" as PermissionPolicy)], "bash")).toBe("deny");
  });
});

describe("callDigest", () => {
  const call = { toolName: "bash", sessionId: "sesn_1" };
  it("does not depend on the order of arguments, and depends on each of them", () => {
    const digest = callDigest({ ...call, input: { a: 1, b: [{ c: 2, d: 3 }] } });
    expect(callDigest({ ...call, input: { b: [{ d: 3, c: 2 }], a: 1 } })).toBe(digest);
    expect(callDigest({ ...call, input: { a: 1, b: [{ c: 2, d: 4 }] } })).not.toBe(digest);
    expect(callDigest({ ...call, sessionId: "sesn_2", input: { a: 1, b: [{ c: 2, d: 3 }] } })).not.toBe(digest);
  });
});
