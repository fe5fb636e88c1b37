/** The demo, as a person starts it: one child process with a new home, a real database, sandbox and server. */
import { spawn } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "exoloop-demo-"));
  // Where the tests run as root, the database's user has to pass through.
  await chmod(home, 0o711);
});
afterAll(() => rm(home, { recursive: true, force: true, maxRetries: 5 }));

/** Without a key of anybody, so that the script plays the model. */
function runDemo(): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [main, "demo", "--json"], {
    env: { PATH: process.env["PATH"] ?? "", HOME: home, EXOLOOP_HOME: home },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

test("an agent repairs a project although its sandbox is taken away half-way", { timeout: 120_000 }, async () => {
  const { code, stdout, stderr } = await runDemo();
  expect(stderr, stderr).toMatch(/^Model: scripted \(no ANTHROPIC_API_KEY/);
  expect(code, stderr).toBe(0);
  expect(stdout.trim().split("\n")).toHaveLength(1);
  const report: unknown = JSON.parse(stdout);
  expect(report).toMatchObject({
    model: expect.stringContaining("scripted"),
    tests: { before: "fail", after: "pass" },
    session: {
      id: expect.stringMatching(/^sesn_/),
      turns: 1,
      steps: expect.any(Number),
      seconds: expect.any(Number),
    },
    sandbox: {
      replaced: 1,
      generation: 2,
      awakeSeconds: expect.any(Number),
      commands: expect.any(Number),
      resumeMs: { p50: expect.any(Number), max: expect.any(Number), n: expect.any(Number) },
    },
    tokens: {
      input: expect.any(Number),
      output: expect.any(Number),
      cacheRead: expect.any(Number),
    },
    workspaceIntact: true,
    memoryNote: expect.stringContaining("Math.round"),
  });
  expect(stderr).toContain("KILLED by the demo");
});
