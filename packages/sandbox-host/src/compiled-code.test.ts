import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { keepCompiled } from "./compiled-code.ts";

const parent = mkdtempSync(join(tmpdir(), "exoloop-compiled-"));
afterAll(() => rmSync(parent, { recursive: true }));
const none = { NODE_DISABLE_COMPILE_CACHE: "1" };

it("makes a directory that nobody else may enter, whatever the mask", () => {
  const directory = join(parent, "a", "own");
  const mask = process.umask(0);
  expect(keepCompiled(directory)).toEqual({ NODE_COMPILE_CACHE: directory });
  process.umask(mask);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(keepCompiled(directory)).toEqual({ NODE_COMPILE_CACHE: directory });
});

it("uses none that others may have written to", () => {
  const [open, link, foreign, file] = ["open", "link", "foreign", "file"].map((name) => join(parent, name));
  mkdirSync(open ?? "");
  chmodSync(open ?? "", 0o722);
  expect(keepCompiled(open)).toEqual(none);
  mkdirSync(foreign ?? "", { mode: 0o700 });
  symlinkSync(foreign ?? "", link ?? "");
  expect(keepCompiled(link)).toEqual(none);
  expect(keepCompiled(join(file ?? "", "\0"))).toEqual(none);
  if (process.getuid?.() !== 0) return;
  chownSync(foreign ?? "", 65_534, 65_534);
  expect(keepCompiled(foreign)).toEqual(none);
});
