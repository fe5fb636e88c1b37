import { describe, expect, it } from "vitest";
import { createReservedStore, createRouter } from "./router.ts";
import { followAliases } from "./routing/aliases.ts";
import { FileError, type FileActor } from "./store.ts";
import { memoryStore } from "./testing-store.ts";
import { decodeText, encodeText } from "./text.ts";

const actor: FileActor = { organizationId: "org_1", sessionId: null, toolUseId: null, via: "tool" };
const sandbox = memoryStore({
  "/workspace/a.ts": "needle",
  "/tmp/x": "needle",
  "/skills/review/SKILL.md": "a stale needle",
});
const router = createRouter([
  { prefix: "/", store: sandbox, access: "read_write" },
  { prefix: "/memory", store: createReservedStore("Use /memory/org."), access: "read_write" },
  { prefix: "/memory/org", store: memoryStore({ "/memory/org/b.md": "needle" }), access: "read_write" },
  { prefix: "/skills", store: memoryStore({ "/skills/review/SKILL.md": "needle, current" }), access: "read_only" },
]);
const code = (work: Promise<unknown>) =>
  work.then(
    () => "none",
    (error: unknown) => (error instanceof FileError ? error.code : String(error)),
  );

describe("router", () => {
  it("sends a path to the longest prefix", async () => {
    expect(decodeText((await router.read("/skills/review/SKILL.md")).bytes)).toBe("needle, current");
    expect(decodeText((await router.read("/tmp/x")).bytes)).toBe("needle");
    expect(await code(router.read("/memory/b.md"))).toBe("not_found");
    expect(await code(router.read("/memory/organ"))).toBe("not_found");
  });
  it("refuses writes where nothing is kept", async () => {
    const change = { oldText: "a", newText: "b", all: false };
    expect(await code(router.write("/skills/review/SKILL.md", encodeText("x"), actor))).toBe("read_only");
    expect(await code(router.edit("/skills/review/SKILL.md", change, actor))).toBe("read_only");
    expect(await code(router.remove("/skills/review/SKILL.md", actor))).toBe("read_only");
    expect(await code(router.write("/memory/me/x", encodeText("x"), actor))).toBe("read_only");
    expect(await code(router.write("/memory/org/x", encodeText("x"), actor))).toBe("none");
  });
  it("searches the mounts below a directory, and hides what lies under another's prefix", async () => {
    const everything = await router.grep({ pattern: "needle", path: "/", ignoreCase: false, maximumMatches: 10 });
    expect(everything.lines.map((match) => match.text).sort()).toEqual([
      "needle",
      "needle",
      "needle",
      "needle, current",
    ]);
    const memory = await router.grep({ pattern: "needle", path: "/memory", ignoreCase: false, maximumMatches: 10 });
    expect(memory.lines.map((match) => match.path)).toEqual(["/memory/org/b.md"]);
    const two = await router.grep({ pattern: "needle", path: "/", ignoreCase: false, maximumMatches: 2 });
    expect(two).toMatchObject({ lines: [{ line: 1 }, { line: 1 }], stopped: "maximum" });
    expect((await router.glob("/", "**/*.md", 10)).map((match) => match.path)).toEqual([
      "/skills/review/SKILL.md",
      "/memory/org/b.md",
    ]);
    expect(await router.glob("/workspace", "**", 10)).toHaveLength(1);
  });
});

describe("directories", () => {
  const names = async (path: string) => (await mounted.list(path, 100)).map((entry) => `${entry.kind} ${entry.path}`);
  const mounted = createRouter(
    [
      { prefix: "/", store: memoryStore({ "/workspace/a.ts": "a", "/memory/x": "hidden" }), access: "read_write" },
      { prefix: "/memory", store: createReservedStore("Use /memory/org."), access: "read_write" },
      {
        prefix: "/memory/org",
        store: memoryStore({ "/memory/org/b.md": "b", "/memory/org/d/c.md": "c" }),
        access: "read_write",
      },
      { prefix: "/skills", store: memoryStore({ "/skills/s/SKILL.md": "s" }), access: "read_only" },
    ],
    (path) => followAliases("/memory/org", path),
  );

  it("show the mounts, in stores and around them", async () => {
    expect(await names("/")).toEqual(["directory /memory", "directory /skills", "directory /workspace"]);
    expect(await names("/memory")).toEqual(["directory /memory/org"]);
    expect(await names(mounted.resolve("/mnt/memory/"))).toEqual(["directory /memory/org"]);
    expect(await names(mounted.resolve("/memories"))).toEqual(["file /memory/org/b.md", "directory /memory/org/d"]);
    expect((await mounted.stat("/memory"))?.kind).toBe("directory");
    expect((await mounted.stat("/memory/org"))?.kind).toBe("directory");
    expect(await mounted.stat("/memory/none")).toBeNull();
    expect(await code(mounted.list("/memory/none", 9))).toBe("not_found");
  });

  it.each([
    ["/memories/a", "/memory/org/a"],
    ["/memories", "/memory/org"],
    ["/memories2", "/memories2"],
    ["/mnt/memory/org/../me/a", "/memory/me/a"],
    ["/mnt/memoryx", "/mnt/memoryx"],
    ["a", "/workspace/a"],
  ])("resolve %s to %s", (path, expected) => {
    expect(mounted.resolve(path)).toBe(expected);
  });

  it("which are mounts can be neither moved nor deleted", async () => {
    expect(await code(mounted.removeTree("/memory/org", actor))).toBe("read_only");
    expect(await code(mounted.removeTree("/memory", actor))).toBe("read_only");
    expect(await code(mounted.move("/memory", "/workspace/m", actor))).toBe("read_only");
    expect(await code(mounted.move("/skills/s", "/workspace/s", actor))).toBe("read_only");
    expect(await code(mounted.move("/workspace/a.ts", "/skills/s/a.ts", actor))).toBe("read_only");
  });
});
