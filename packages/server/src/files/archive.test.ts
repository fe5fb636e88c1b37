import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { readArchive, writeArchive, type ArchivedEntry } from "./archive.ts";
import { encodeText } from "./text.ts";

const long = `/memory/org/${"d".repeat(200)}/${"n".repeat(150)}.md`;
const entries: readonly ArchivedEntry[] = [
  { type: "directory", path: "/memory/org", mode: 0o755 },
  { type: "file", path: "/memory/org/žluť 🐎.md", bytes: encodeText("a".repeat(1000)), mode: 0o644 },
  { type: "file", path: "/memory/org/empty.md", bytes: encodeText(""), mode: 0o755 },
  { type: "link", path: "/memory/.default", target: "org" },
  { type: "file", path: long, bytes: encodeText("far\n"), mode: 0o444 },
];
const archive = () => Buffer.concat([...writeArchive(entries)]);

describe("archives", () => {
  it("hold files with their bytes, whatever their names", () => {
    const files = readArchive(archive());
    expect(files.map(({ name, bytes }) => [name, bytes.length])).toEqual([
      ["memory/org/žluť 🐎.md", 1000],
      ["memory/org/empty.md", 0],
      [long.slice(1), 4],
    ]);
  });

  it("are understood by the machine's tar", () => {
    const listed = execFileSync("tar", ["-tf", "-", "--quoting-style=literal"], {
      input: archive(),
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C.UTF-8" },
    });
    expect(listed.trim().split("\n")).toEqual([
      "memory/org",
      "memory/org/žluť 🐎.md",
      "memory/org/empty.md",
      "memory/.default",
      long.slice(1),
    ]);
  });

  it("that are cut, or none at all, are refused", () => {
    const whole = archive();
    for (const length of [0, 100, 512, 1600, whole.length - 1024])
      expect(() => readArchive(whole.subarray(0, length)), `${length} bytes`).toThrow(/archive/);
    expect(() => readArchive(Buffer.alloc(1024, "x"))).toThrow(/archive/);
  });
});
