import { describe, expect, it } from "vitest";
import { compileGlob } from "./glob-pattern.ts";
import { isWithin, relativePath } from "./path.ts";
import { createReservedStore, createRouter } from "./router.ts";
import { FileError, type FileActor, type FileStore } from "./store.ts";
import { decodeText, encodeText, replaceText } from "./text.ts";

/** A store in memory that keeps the contract; it may hold files under another mount's prefix, as a sandbox does. */
function storeOf(initial: Record<string, string>): FileStore {
  const contents = new Map(Object.entries(initial).map(([path, text]) => [path, encodeText(text)]));
  const read = (path: string) => {
    const bytes = contents.get(path);
    if (bytes === undefined) throw new FileError("not_found", path);
    return bytes;
  };
  return {
    read: async (path) => ({ bytes: read(path), version: null }),
    write: async (path, bytes) => {
      const created = !contents.has(path);
      contents.set(path, bytes);
      return { created, version: null, bytes: bytes.length };
    },
    edit: async (path, change) => {
      const { bytes, replacements } = replaceText(path, read(path), change);
      contents.set(path, bytes);
      return { created: false, version: null, bytes: bytes.length, replacements };
    },
    remove: async (path) => void contents.delete(path),
    glob: async (path, pattern, maximum) => {
      const matches = compileGlob(pattern);
      const inside = [...contents.keys()].filter((file) => isWithin(path, file) && matches(relativePath(path, file)));
      return inside.slice(0, maximum).map((file) => ({ path: file, modifiedAt: file.length }));
    },
    grep: async (request) => {
      const found = [...contents].filter(
        ([path, bytes]) => isWithin(request.path, path) && (decodeText(bytes) ?? "").includes(request.pattern),
      );
      const lines = found
        .slice(0, request.maximumMatches)
        .map(([path, bytes]) => ({ path, line: 1, text: decodeText(bytes) ?? "", isContext: false }));
      return { lines, files: [], stopped: found.length > lines.length ? "maximum" : null };
    },
  };
}

const actor: FileActor = { organizationId: "org_1", sessionId: null, toolUseId: null, via: "tool" };
const sandbox = storeOf({
  "/workspace/a.ts": "needle",
  "/tmp/x": "needle",
  "/skills/review/SKILL.md": "a stale needle",
});
const router = createRouter([
  { prefix: "/", store: sandbox, access: "read_write" },
  { prefix: "/memory", store: createReservedStore("Use /memory/org."), access: "read_write" },
  { prefix: "/memory/org", store: storeOf({ "/memory/org/b.md": "needle" }), access: "read_write" },
  { prefix: "/skills", store: storeOf({ "/skills/review/SKILL.md": "needle, current" }), access: "read_only" },
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
