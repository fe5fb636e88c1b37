import { describe, expect, it } from "vitest";
import { storeDirectory } from "./store-directory.ts";

describe("storeDirectory", () => {
  it.each([
    ["User Preferences!", "user-preferences"],
    ["  Größe & Maß  ", "gr-e-ma"],
    ["../../etc/passwd", "etc-passwd"],
    ["日本語", "store"],
    ["-rf", "rf"],
    ["org", "org-2"],
    ["Me", "me-2"],
    ["n".repeat(255), "n".repeat(200)],
  ])("%s is %s", (name, expected) => expect(storeDirectory(name, new Set())).toBe(expected));

  it("numbers what is taken", () => {
    expect(storeDirectory("Notes", new Set(["notes", "notes-2"]))).toBe("notes-3");
    expect(storeDirectory("me", new Set(["me-2"]))).toBe("me-3");
  });
});
