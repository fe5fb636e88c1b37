import { describe, expect, it } from "vitest";
import { createRouter } from "../router.ts";
import { FileError, type FileActor, type FileTransformation } from "../store.ts";
import { memoryStore } from "../testing-store.ts";
import { decodeText, encodeText } from "../text.ts";

const actor: FileActor = { organizationId: "org_1", sessionId: null, toolUseId: null, via: "tool" };

function mounted(changes: { readonly workspace?: object; readonly memory?: object } = {}) {
  const workspace = { ...memoryStore({ "/workspace/a.md": "a", "/workspace/d/b.md": "b" }), ...changes.workspace };
  const memory = { ...memoryStore({ "/memory/org/taken.md": "t" }), ...changes.memory };
  return createRouter([
    { prefix: "/", store: workspace, access: "read_write" },
    { prefix: "/memory/org", store: memory, access: "read_write" },
  ]);
}

const failing = () => Promise.reject(new FileError("failed", "The disk is full."));
const message = (work: Promise<unknown>) =>
  work.then(
    () => "none",
    (error: unknown) => (error instanceof FileError ? `${error.code}: ${error.message}` : String(error)),
  );
type Files = ReturnType<typeof mounted>;
const textOf = async (files: Files, path: string) => {
  const found = await files.read(path).catch(() => null);
  return found === null ? null : decodeText(found.bytes);
};

describe("a move from one mount to another", () => {
  it("writes, then deletes, and says that it was not atomic", async () => {
    const files = mounted();
    expect(await files.move("/workspace/a.md", "/memory/org/a.md", actor)).toEqual({
      atomic: false,
      notice: "This was not atomic: /memory/org/a.md was written first, then /workspace/a.md was deleted.",
    });
    expect(await textOf(files, "/memory/org/a.md")).toBe("a");
    expect(await textOf(files, "/workspace/a.md")).toBeNull();
    await files.move("/workspace/d", "/memory/org/d", actor);
    expect(await textOf(files, "/memory/org/d/b.md")).toBe("b");
    expect(await files.stat("/workspace/d")).toBeNull();
  });

  it("within one mount is the store's own", async () => {
    const files = mounted();
    expect(await files.move("/workspace/a.md", "/workspace/z.md", actor)).toEqual({ atomic: true, notice: null });
  });

  it("leaves the source where it is when the first half fails", async () => {
    const files = mounted({ memory: { transform: failing } });
    expect(await message(files.move("/workspace/a.md", "/memory/org/a.md", actor))).toBe("failed: The disk is full.");
    expect(await textOf(files, "/workspace/a.md")).toBe("a");
  });

  it("says what is where when the second half fails", async () => {
    const files = mounted({ workspace: { remove: failing } });
    expect(await message(files.move("/workspace/a.md", "/memory/org/a.md", actor))).toBe(
      "failed: Half done: /memory/org/a.md is complete, but /workspace/a.md could not be deleted (The disk is full.). Both are there now: delete one of them.",
    );
    expect(await textOf(files, "/workspace/a.md")).toBe("a");
    expect(await textOf(files, "/memory/org/a.md")).toBe("a");
  });

  it("overwrites nothing", async () => {
    const files = mounted();
    expect(await message(files.move("/workspace/a.md", "/memory/org/taken.md", actor))).toContain("path_conflict");
    expect(await message(files.move("/workspace/none.md", "/memory/org/n.md", actor))).toContain("not_found");
    expect(await textOf(files, "/memory/org/taken.md")).toBe("t");
  });

  it("refuses a directory that cannot be carried over whole", async () => {
    const link = { path: "/workspace/d/link", kind: "other", size: 0, executable: false, modifiedAt: 0 };
    const files = mounted({ workspace: { list: () => Promise.resolve([link]) } });
    expect(await message(files.move("/workspace/d", "/memory/org/d", actor))).toContain(
      "/workspace/d/link is no ordinary",
    );
    expect(await textOf(files, "/workspace/d/b.md")).toBe("b");
  });
});

describe("several files at once", () => {
  /** Stored files come last, whatever the order. */
  const both = ["/memory/org/taken.md", "/workspace/a.md"];
  const upper: FileTransformation = (before) =>
    new Map([...before].map(([path, bytes]) => [path, encodeText((decodeText(bytes) ?? "").toUpperCase())]));

  it("change in several mounts", async () => {
    const files = mounted();
    await files.transform(both, upper, actor);
    expect(await textOf(files, "/workspace/a.md")).toBe("A");
    expect(await textOf(files, "/memory/org/taken.md")).toBe("T");
  });

  it("change nowhere when what is wanted of one is wrong", async () => {
    const files = mounted();
    const wrong: FileTransformation = () => {
      throw new FileError("no_match", "Line 3 is not there.");
    };
    expect(await message(files.transform(both, wrong, actor))).toBe("no_match: Line 3 is not there.");
    expect(await textOf(files, "/workspace/a.md")).toBe("a");
  });

  it("say which are changed when a later group fails", async () => {
    const store = memoryStore({ "/memory/org/taken.md": "t" });
    let calls = 0;
    const files = mounted({
      memory: {
        transform: (...given: Parameters<typeof store.transform>) =>
          (calls += 1) > 1 ? failing() : store.transform(...given),
      },
    });
    expect(await message(files.transform(both, upper, actor))).toBe(
      "failed: Half done: /workspace/a.md changed, but /memory/org/taken.md did not: The disk is full.",
    );
    expect(await textOf(files, "/workspace/a.md")).toBe("A");
  });

  it("end where somebody else has changed a file meanwhile", async () => {
    const store = memoryStore({ "/workspace/a.md": "a" });
    const files = mounted({
      workspace: {
        transform: async (paths: string[], change: FileTransformation) => {
          await store.transform(paths, change, actor);
          await store.write("/workspace/a.md", encodeText("theirs"), actor);
        },
      },
    });
    expect(await message(files.transform(both, upper, actor))).toBe(
      "conflict: /workspace/a.md was changed by somebody else meanwhile.",
    );
  });
});
