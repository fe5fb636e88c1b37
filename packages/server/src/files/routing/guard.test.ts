import type { FileRule } from "@exoloop/protocol/tools";
import { describe, expect, it } from "vitest";
import { createRouter, type RoutedFiles } from "../router.ts";
import { FileError, type FileActor, type GrepRequest } from "../store.ts";
import { memoryStore } from "../testing-store.ts";
import { encodeText } from "../text.ts";
import { guardFiles } from "./guard.ts";

const actor: FileActor = { organizationId: "org_1", sessionId: null, toolUseId: null, via: "tool" };
const rules: readonly FileRule[] = [
  { action: "file.read", path: "/memory/org/hr", decision: "deny" },
  { action: "file.write", path: "/memory/org/rules.md", decision: "deny" },
];
const contents = {
  "/memory/org/a.md": "needle",
  "/memory/org/hr/1.md": "needle",
  "/memory/org/hr/2.md": "needle",
  "/memory/org/rules.md": "needle",
  "/memory/org/z.md": "needle",
};

/** Fails the test when a store is asked for what may not be seen. */
function guarded(): { readonly files: RoutedFiles; readonly asked: string[] } {
  const asked: string[] = [];
  const store = memoryStore(contents);
  const watching = new Proxy(store, {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver);
      if (typeof member !== "function") return member;
      return (...given: unknown[]) => {
        asked.push(JSON.stringify(given));
        const answer: unknown = Reflect.apply(member, target, given);
        return answer;
      };
    },
  });
  const { read, write, edit, remove, glob, grep, stat, list, makeDirectory, rename, removeTree, transform } = watching;
  const mounted = { read, write, edit, remove, glob, grep, stat, list, makeDirectory, rename, removeTree, transform };
  return { files: guardFiles(createRouter([{ prefix: "/", store: mounted, access: "read_write" }]), rules), asked };
}

const code = (work: Promise<unknown>) =>
  work.then(
    () => "none",
    (error: unknown) => (error instanceof FileError ? error.code : String(error)),
  );
const grep = (request: Partial<GrepRequest>): GrepRequest => ({
  pattern: "needle",
  path: "/memory",
  ignoreCase: false,
  maximumMatches: 10,
  ...request,
});

describe("what may not be read", () => {
  it("is not there, and no store is asked", async () => {
    const { files, asked } = guarded();
    const hidden = "/memory/org/hr/1.md";
    expect(await files.read(hidden).catch((error: Error) => error.message)).toBe(`${hidden} does not exist.`);
    expect(await files.stat(hidden)).toBeNull();
    expect(await code(files.list("/memory/org/hr", 9))).toBe("not_found");
    expect(await files.glob("/memory/org/hr", "**", 9)).toEqual([]);
    expect((await files.grep(grep({ path: hidden }))).lines).toEqual([]);
    expect(asked).toEqual([]);
  });

  it("is missing in lists and searches, which are as long as they would be without it", async () => {
    const { files } = guarded();
    expect((await files.list("/memory/org", 9)).map(({ path }) => path)).toEqual([
      "/memory/org/a.md",
      "/memory/org/rules.md",
      "/memory/org/z.md",
    ]);
    expect(await files.glob("/memory", "**", 9)).toHaveLength(3);
    expect(await files.glob("/memory", "**", 2)).toHaveLength(2);
    const found = await files.grep(grep({ maximumMatches: 2 }));
    expect(found.lines.map(({ path }) => path)).toEqual(["/memory/org/a.md", "/memory/org/rules.md"]);
    expect(found.stopped).toBe("maximum");
    const all = await files.grep(grep({ maximumMatches: 3 }));
    expect(all.lines.map(({ path }) => path)).toEqual(["/memory/org/a.md", "/memory/org/rules.md", "/memory/org/z.md"]);
    expect((await files.grep(grep({ mode: "counts", maximumMatches: 2 }))).files).toHaveLength(2);
  });
});

describe("what may not be written", () => {
  it("is refused in every way, and no store is asked", async () => {
    const { files, asked } = guarded();
    const text = encodeText("x");
    const change = { oldText: "needle", newText: "x", all: false };
    for (const path of ["/memory/org/rules.md", "/memory/org/hr/1.md", "/memory/org/hr/new.md"]) {
      expect(await code(files.write(path, text, actor))).toBe("no_permission");
      expect(await code(files.edit(path, change, actor))).toBe("no_permission");
      expect(await code(files.remove(path, actor))).toBe("no_permission");
      expect(await code(files.move(path, "/memory/org/b.md", actor))).toBe("no_permission");
      expect(await code(files.rename("/memory/org/a.md", path, actor))).toBe("no_permission");
      expect(await code(files.transform(["/memory/org/a.md", path], () => new Map(), actor))).toBe("no_permission");
    }
    expect(await code(files.makeDirectory("/memory/org/hr/d", actor))).toBe("no_permission");
    expect(await code(files.removeTree("/memory/org", actor))).toBe("no_permission");
    expect(await code(files.move("/memory/org", "/memory/q", actor))).toBe("no_permission");
    expect(asked).toEqual([]);
    expect(await code(files.read("/memory/org/rules.md"))).toBe("none");
    expect(await code(files.write("/memory/org/a.md", text, actor))).toBe("none");
  });
});
