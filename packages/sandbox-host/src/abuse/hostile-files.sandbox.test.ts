/** Files that are not what they seem, and hostile archives: unpacked inside, taken out by us, with a neighbour beside. */
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { type TestHost, openTestHost } from "../test-host.ts";
import { makeHostileArchives, makeSpecialFiles, unpackHostileArchives } from "./hostile-files.ts";

const resources = { memoryBytes: 256 << 20, processes: 100, cpus: 1, diskBytes: 128 << 20, files: 5_000 };
const patienceMs = 10_000;

let test: TestHost;
let neighbour: Sandbox;
let sandbox: Sandbox;
/** A directory of the host that everybody may write to: only the sandbox's walls keep the workload out of it. */
let outside: string;
beforeAll(async () => {
  outside = mkdtempSync(join(tmpdir(), "exoloop-outside-"));
  chmodSync(outside, 0o777);
  writeFileSync(join(outside, "flag"), "flag", { mode: 0o666 });
  chmodSync(join(outside, "flag"), 0o666);
  test = await openTestHost();
  neighbour = await test.sandbox({ resources });
});
afterAll(async () => {
  await test.close();
  rmSync(outside, { recursive: true });
});
beforeEach(async () => {
  sandbox = await test.sandbox({ resources });
});

function expectOutsideUntouched(): void {
  expect(readdirSync(outside)).toEqual(["flag"]);
  expect(readFileSync(join(outside, "flag"), "utf8")).toBe("flag");
}

async function soon<T>(work: Promise<T>): Promise<T | "never"> {
  let timer: NodeJS.Timeout | undefined;
  const never = new Promise<"never">((resolve) => {
    timer = setTimeout(() => resolve("never"), patienceMs);
  });
  return Promise.race([work, never]).finally(() => clearTimeout(timer));
}

const run = (command: string) => sandbox.session.run({ command, timeoutMs: 60_000 });

it("hostile archives change nothing outside, whichever tool unpacks them", async () => {
  expect(await run(makeHostileArchives(outside))).toMatchObject({ exit: { type: "exited", code: 0 } });
  const unpacked = await run(unpackHostileArchives);
  // A bomb that is too large ends the workload: that is containment as well.
  expect(["exited", "signalled"]).toContain(unpacked.exit.type);
  expectOutsideUntouched();
  await sandbox.resume();
  const entries = await sandbox.session.listTree({ path: "/workspace" });
  expect(entries.some(({ path }) => path.endsWith("/suid"))).toBe(true);
  const { exit, stdout } = await run(
    "find / -xdev -type b 2>/dev/null | wc -l; [ -f a/suid ] && cp /usr/bin/id a/suid && chmod 6755 a/suid && a/suid -u",
  );
  expect({ exit, stdout }).toMatchObject({ exit: { type: "exited", code: 0 }, stdout: "0\n1000\n" });
  expect((await neighbour.session.run({ command: "echo neighbour; ls /workspace" })).stdout).toBe("neighbour\n");
  await sandbox.destroy();
  expectOutsideUntouched();
});

it("taking files gives an answer for whatever stands where a file is expected, and nothing of the host", async () => {
  expect(await run(makeSpecialFiles(outside))).toMatchObject({ exit: { type: "exited", code: 0 } });
  const names = ["link-to-file", "loop", "fifo", "socket", "endless", "memory"];
  for (const name of names) {
    const path = `/workspace/${name}`;
    const read = sandbox.session.readBinaryFile({ path, maximumBytes: 1 << 20 });
    const content = await soon(read.catch(() => null));
    expect([name, content]).toEqual([name, null]);
  }
  const parts: string[] = [];
  const paths = [...names, "link-to-directory/flag"].map((name) => `/workspace/${name}`);
  for await (const part of sandbox.session.fetchFiles({ paths })) parts.push(part.type);
  expect(new Set(parts)).toEqual(new Set(["refused"]));
  expect(parts.length).toBe(paths.length);
  const entries = await sandbox.session.listTree({ path: "/workspace" });
  expect(entries.map(({ path }) => path).filter((path) => path.includes("link-to-directory/"))).toEqual([]);
  expect(entries.find(({ path }) => path.endsWith("/sparse"))).toMatchObject({ kind: "file" });
  await sandbox.destroy();
});

it("putting files replaces what stands there, and never goes through it", async () => {
  expect(await run(makeSpecialFiles(outside))).toMatchObject({ exit: { type: "exited", code: 0 } });
  const content = Buffer.from("ours");
  const names = ["link-to-file", "fifo", "socket", "endless", "loop"];
  const entries = names.map((name) => ({ kind: "file", path: `/workspace/${name}`, mode: 0o644, content }) as const);
  expect(await soon(sandbox.session.placeEntries({ entries }))).not.toBe("never");
  const { stdout } = await run(`cat ${names.join(" ")}; stat -c %F ${names.join(" ")} | sort -u`);
  expect(stdout).toBe(`${"ours".repeat(names.length)}regular file\n`);
  const below = { kind: "file", path: "/workspace/link-to-directory/placed", mode: 0o644, content } as const;
  await soon(sandbox.session.placeEntries({ entries: [below] }).catch(() => null));
  await soon(
    sandbox.session.writeBinaryFile({ path: "/workspace/link-to-directory/written", content }).catch(() => null),
  );
  expectOutsideUntouched();
  expect((await neighbour.session.run({ command: "echo neighbour" })).stdout).toBe("neighbour\n");
  await sandbox.destroy();
});
