import { describe, expect, it } from "vitest";
import type { FileStore } from "../files/store.ts";
import { createReservedStore } from "../files/router.ts";
import { decodeText } from "../files/text.ts";
import { boundResult, shortenText } from "./bound-output.ts";
import { textResult } from "./registry.ts";
import { filesOf, noBackground } from "./testing.ts";
import type { ToolContext } from "./tool.ts";

function contextWith(files: FileStore): ToolContext {
  return {
    toolUseId: "sevt_1",
    actor: { organizationId: "org_1", sessionId: "sesn_1", toolUseId: "sevt_1", via: "tool" },
    files: filesOf(files),
    commands: { run: () => Promise.reject(new Error("no command runs here")) },
    background: noBackground,
    abortSignal: new AbortController().signal,
    resumed: false,
  };
}

const textOf = (result: { content: readonly object[] }) =>
  String(Object.entries(result.content[0] ?? {}).find(([key]) => key === "text")?.[1]);

describe("shortenText", () => {
  it("keeps both ends and counts what is missing", () => {
    const short = shortenText("a".repeat(50) + "b".repeat(50), 20, "It is lost.");
    expect(short.startsWith("a".repeat(8))).toBe(true);
    expect(short.endsWith("b".repeat(12))).toBe(true);
    expect(short).toContain("80 characters left out. It is lost.");
  });
  it("cuts no character in half", () => {
    for (let maximum = 5; maximum < 30; maximum += 1)
      expect(shortenText("😀".repeat(50), maximum, "").isWellFormed()).toBe(true);
  });
});

describe("boundResult", () => {
  it("leaves small results alone", async () => {
    const result = textResult("small");
    expect(await boundResult(result, "bash", contextWith(createReservedStore("")))).toBe(result);
  });
  it("keeps the full output of a command in the workspace", async () => {
    const written = new Map<string, string>();
    const files: FileStore = {
      ...createReservedStore(""),
      write: async (path, bytes) => {
        written.set(path, decodeText(bytes) ?? "");
        return { created: true, version: null, bytes: bytes.length };
      },
    };
    const full = `first\n${"x".repeat(100_000)}\nlast`;
    const bounded = textOf(await boundResult(textResult(full), "bash", contextWith(files)));
    expect(bounded.length).toBeLessThan(31_000);
    expect(bounded).toContain("The full text is in /workspace/.exoloop/outputs/sevt_1.txt");
    expect(bounded.startsWith("first\n") && bounded.endsWith("\nlast")).toBe(true);
    expect(written.get("/workspace/.exoloop/outputs/sevt_1.txt")).toBe(full);
    expect(textOf(await boundResult(textResult(full), "grep", contextWith(files)))).toContain(
      "Ask for a smaller part.",
    );
  });
  it("still gives the result when the workspace takes no file", async () => {
    const bounded = textOf(
      await boundResult(textResult("x".repeat(100_000)), "bash", contextWith(createReservedStore(""))),
    );
    expect(bounded).toContain("could not be kept");
  });
});
