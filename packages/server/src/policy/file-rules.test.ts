import type { FileRule } from "@exoloop/protocol/tools";
import { describe, expect, it } from "vitest";
import { asksAbout, decideFile, hasRuleBelow } from "./file-rules.ts";

const rule = (action: FileRule["action"], path: string, decision: FileRule["decision"]): FileRule => ({
  action,
  path,
  decision,
});

const rules = [
  rule("file.read", "/memory/org/hr", "deny"),
  rule("file.read", "/memory/*/diary.md", "ask"),
  rule("file.write", "/memory/org", "ask"),
  rule("file.write", "/memory/org/rules.md", "deny"),
];

describe("decideFile", () => {
  it.each([
    ["file.read", "/memory/org/hr", "deny"],
    ["file.read", "/memory/org/hr/pay/2026.md", "deny"],
    ["file.read", "/memory/org/hr2", "allow"],
    ["file.read", "/memory/org", "allow"],
    ["file.read", "/memory/me/diary.md", "ask"],
    ["file.read", "/memory/me/x/diary.md", "allow"],
    ["file.read", "/memory/org/rules.md", "allow"],
    ["file.write", "/memory/org/a.md", "ask"],
    ["file.write", "/memory/org/rules.md", "deny"],
    ["file.write", "/memory/org/hr/a.md", "deny"],
    ["file.write", "/workspace/a.md", "allow"],
    ["file.read", "/memory/*/hr/a.md", "deny"],
  ] as const)("%s %s: %s", (action, path, expected) => {
    expect(decideFile(rules, { action, path })).toBe(expected);
  });

  it("the order of rules does not matter, and a rule about / is about everything", () => {
    expect(decideFile(rules.toReversed(), { action: "file.write", path: "/memory/org/rules.md" })).toBe("deny");
    expect(decideFile([rule("file.write", "/", "deny")], { action: "file.write", path: "/a" })).toBe("deny");
  });
});

it("one file has one name, however its letters are written", () => {
  const named = [
    rule("file.read", "/memory/org/Caf\u00e9", "deny"),
    rule("file.write", "/memory/org/cafe\u0301s", "ask"),
  ];
  for (const name of ["Caf\u00e9", "Cafe\u0301", "cafe\u0301", "CAF\u00c9"]) {
    expect(decideFile(named, { action: "file.read", path: `/memory/org/${name}/a.md` })).toBe("deny");
    expect(hasRuleBelow(named, `/memory/org/${name}`)).toBe(true);
  }
  expect(asksAbout(named, { action: "file.write", path: "/memory/org/Caf\u00e9s" })).toBe(true);
  expect(decideFile(named, { action: "file.read", path: "/memory/org/cafe" })).toBe("allow");
});

it("who has to ask to read a file has to ask to change it", () => {
  expect(asksAbout(rules, { action: "file.write", path: "/memory/me/diary.md" })).toBe(true);
  expect(asksAbout(rules, { action: "file.write", path: "/memory/me/other.md" })).toBe(false);
});

it("a search asks about what lies below it, too", () => {
  expect(asksAbout(rules, { action: "file.read", path: "/memory" })).toBe(false);
  expect(asksAbout(rules, { action: "file.read", path: "/memory", tree: true })).toBe(true);
  expect(asksAbout(rules, { action: "file.read", path: "/memory/org/hr", tree: true })).toBe(false);
  expect(asksAbout(rules, { action: "file.write", path: "/memory/*/a" })).toBe(true);
});

it("a whole directory has a rule where anything in it has one", () => {
  expect(hasRuleBelow(rules, "/memory")).toBe(true);
  expect(hasRuleBelow(rules, "/memory/org/hr/pay")).toBe(true);
  expect(hasRuleBelow(rules, "/workspace")).toBe(false);
});
