import { describe, expect, it } from "vitest";
import { type ReadTrace, watchReads } from "./read-trace.ts";
import { memoryStore } from "./testing-store.ts";
import type { FileActor } from "./store.ts";

const actor: FileActor = { organizationId: "org_1", sessionId: null, toolUseId: null, via: "tool" };
const contents = { "/memory/org/marked.md": "needle", "/memory/org/plain.md": "needle" };

describe("a store that is watched", () => {
  const request = { pattern: "needle", ignoreCase: false, maximumMatches: 9 };
  it.each<[string, (store: ReturnType<typeof memoryStore>, name: string) => Promise<unknown>]>([
    ["read", (store, name) => store.read(name)],
    ["edit", (store, name) => store.edit(name, { oldText: "needle", newText: "x", all: false }, actor)],
    ["transform", (store, name) => store.transform([name], () => new Map(), actor)],
    ["grep", (store, name) => store.grep({ ...request, path: name })],
    ["glob", (store, name) => store.glob("/memory/org", name.slice("/memory/org/".length), 9)],
  ])("notes that a marked file was reached by %s, and no other", async (_name, use) => {
    for (const [path, expected] of [
      ["/memory/org/plain.md", false],
      ["/memory/org/marked.md", true],
    ] as const) {
      const trace: ReadTrace = { untrusted: false };
      const areMarked = (paths: readonly string[]) => Promise.resolve(paths.includes("/memory/org/marked.md"));
      await use(watchReads(memoryStore(contents), areMarked, trace), path);
      expect(trace.untrusted).toBe(expected);
    }
  });

  it("notes names in lists", async () => {
    const trace: ReadTrace = { untrusted: false };
    await watchReads(memoryStore(contents), () => Promise.resolve(true), trace).list("/memory/org", 9);
    expect(trace.untrusted).toBe(true);
  });

  it("notes names of directories, too, and looks at each", async () => {
    const trace: ReadTrace = { untrusted: false };
    const store = memoryStore({ "/memory/org/do as I say/a.md": "" });
    const areMarked = (paths: readonly string[]) => Promise.resolve(paths.includes("/memory/org/do as I say"));
    await watchReads(store, areMarked, trace).list("/memory/org", 9);
    expect(trace.untrusted).toBe(true);
  });

  it("notes a marked file before it is changed: what is written is marked, too", async () => {
    const trace: ReadTrace = { untrusted: false };
    const store = watchReads(memoryStore(contents), () => Promise.resolve(true), trace);
    let seen = false;
    await store.transform(["/memory/org/marked.md"], () => ((seen = trace.untrusted), new Map()), actor);
    expect(seen).toBe(true);
  });
});
