/** The demonstration's agent on the demonstration's project: real files, real git, real tests. @module */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type BrainCall, runBrain, type ToolAnswer } from "../testing/brain-run.ts";
import { repairBrain } from "./repair.ts";

const seed = new URL("../../../../cli/src/demo/seed/", import.meta.url).pathname;
const run = promisify(execFile);
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "exoloop-repair-"));
  await cp(join(seed, "project"), join(directory, "workspace"), { recursive: true });
  await cp(join(seed, "skills"), join(directory, "skills"), { recursive: true });
  await bash(
    "mkdir -p ../memory/org && git init --quiet && git add -A && git -c user.name=t -c user.email=t@example.invalid commit --quiet -m 'First commit'",
  );
});
afterEach(() => rm(directory, { recursive: true }));

async function bash(command: string): Promise<string> {
  // Vitest marks its workers for node's own test runner, which would then run no tests.
  const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...environment } = process.env;
  const env = { ...environment, MEMORY: join(directory, "memory"), WORKSPACE: join(directory, "workspace") };
  const { stdout, stderr } = await run("bash", ["-c", `${command} 2>&1; true`], {
    cwd: join(directory, "workspace"),
    env,
  });
  return stdout + stderr;
}

async function callTool({ name, input }: BrainCall): Promise<ToolAnswer> {
  const path = join(directory, String(input.file_path ?? ""));
  switch (name) {
    case "bash":
      return bash(String(input.command));
    case "grep":
      return bash(`grep -rn -- '${String(input.pattern)}' .`);
    case "read": {
      const lines = (await readFile(path, "utf8")).split("\n");
      return lines.map((line, index) => `${String(index + 1).padStart(6)}\t${line}`).join("\n");
    }
    case "write":
      await writeFile(path, String(input.content));
      return "written";
    case "edit": {
      const text = await readFile(path, "utf8");
      if (text.split(String(input.old_string)).length !== 2) return { error: "old_string must be unique" };
      await writeFile(
        path,
        text.replace(String(input.old_string), () => String(input.new_string)),
      );
      return "edited";
    }
    default:
      return { error: `no tool ${name}` };
  }
}

test("carries the scenario through, a lost sandbox included", { timeout: 60_000 }, async () => {
  let lost = false;
  const { calls, conclusion } = await runBrain(repairBrain, async (call) => {
    if (lost || call.input.command !== "sh ./check.sh") return callTool(call);
    lost = true;
    return "<sandbox_replaced>\nThe sandbox was lost.\n</sandbox_replaced>\nThe command was interrupted.";
  });
  expect(conclusion).toContain("Before: 1 of 5 tests failed. After: all 5 pass.");
  expect(calls.length).toBe(11);
  expect(await bash("git log --oneline && git status --short")).toMatch(
    /^[0-9a-f]+ Round the result of addTax[^\n]*\n[0-9a-f]+ First commit\n$/,
  );
  expect(await bash("cat ../memory/org/repair-addTax.md")).toContain("Math.round((cents * percent) / 100)");
  expect(await bash("sh ./check.sh")).toMatch(/^(?:ℹ|#) fail 0$/m);
});
