/** The command line as a child process: usage errors, absent servers, a machine without a sandbox. */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "exoloop-cli-"));
});
afterAll(() => rm(home, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function exoloop(arguments_: readonly string[], environment: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [main, ...arguments_], {
    env: { PATH: process.env["PATH"] ?? "", EXOLOOP_HOME: home, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

test("help and version go to standard output", async () => {
  const help = await exoloop(["--help"]);
  expect(help).toMatchObject({ code: 0, stderr: "" });
  for (const name of ["up", "demo", "run", "sessions", "deployments", "sandbox", "webhooks", "doctor", "completion"])
    expect(help.stdout).toContain(`  ${name}`);
  expect(await exoloop(["--version"])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
  });
});

test("the help of up says how the server is stopped, since no command does", async () => {
  const { stdout } = await exoloop(["up", "--help"]);
  expect(stdout).toMatch(/in the foreground: Ctrl-C or SIGTERM stops server, sandbox host and sandboxes/);
  expect(stdout).toMatch(/Postgres stays[^]*postmaster\.pid/);
});

test.each([
  [["nonsense"], "unknown command"],
  [["run"], "missing required argument"],
  [["run", "  "], "The task is empty"],
  [["run", "x", "--color"], "unknown option"],
  [["up", "--port", "70000"], "0 to 65535"],
  [["up", "--sandbox", "docker"], "Allowed choices"],
  [["sessions", "list", "--limit", "0"], "1 to 100"],
  [["sessions", "show"], "missing required argument"],
  [["completion", "tcsh"], "Allowed choices"],
  [["deployments", "create", "x"], "--name"],
  [["deployments", "create", " ", "--name", "n"], "The task is empty"],
  [["deployments", "create", "x", "--name", "n", "--timezone", "UTC"], "says nothing without --cron"],
  [["deployments", "create", "x", "--name", "n", "--overlap", "cancel"], "Allowed choices"],
  [["deployments", "pause"], "missing required argument"],
  [["sandbox", "status"], "missing required argument"],
  [["sandbox", "preview", "sesn_1", "0"], "1 to 65535"],
  [["sandbox", "lease", "sesn_1", "x", "21601"], "1 to 21600"],
  [["sandbox", "signal", "sesn_1", "x", "--signal", "SIGSEGV"], "Allowed choices"],
  [["webhooks", "create"], "missing required argument"],
  [["webhooks", "send", "ci"], "EXOLOOP_WEBHOOK_SECRET"],
  [["sessions", "send", "sesn_1", " "], "The message is empty"],
  [["deployments", "list", "--status", "archived"], "Allowed choices"],
])("%j is a usage error on standard error, without a stack", async (arguments_, message) => {
  const ended = await exoloop(arguments_);
  expect(ended).toMatchObject({ code: 2, stdout: "" });
  expect(ended.stderr).toContain(message);
  expect(ended.stderr).not.toMatch(/\n\s+at /);
});

test.each([
  [["run", "task"]],
  [["sessions", "list", "--json"]],
  [["sessions", "stop", "sesn_1"]],
  [["deployments", "list"]],
])("%j without a server says so in one sentence", async (arguments_) => {
  const environment = { EXOLOOP_URL: "http://127.0.0.1:9", EXOLOOP_API_KEY: "k" };
  const ended = await exoloop(arguments_, environment);
  expect(ended).toEqual({
    code: 1,
    stdout: "",
    stderr: "No server answers at http://127.0.0.1:9: start one with `exoloop up`.\n",
  });
});

test("a broken credentials file is named", async () => {
  const broken = await mkdtemp(join(tmpdir(), "exoloop-cli-"));
  await writeFile(join(broken, "credentials.json"), "{");
  const ended = await exoloop(["sessions", "list"], { EXOLOOP_HOME: broken });
  await rm(broken, { recursive: true });
  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain(join(broken, "credentials.json"));
});

test("a home that depends on the working directory is refused, where one is needed", async () => {
  const environment = { EXOLOOP_HOME: "here" };
  expect((await exoloop(["--help"], environment)).code).toBe(0);
  for (const arguments_ of [["sessions", "list"], ["up"], ["demo"], ["doctor"]]) {
    expect(await exoloop(arguments_, environment)).toEqual({
      code: 2,
      stdout: "",
      stderr: 'EXOLOOP_HOME is "here": it must be an absolute path.\n',
    });
  }
});

test("completion asks an absent server nothing that anyone notices", async () => {
  const ended = await exoloop(["complete", "--", "sessions", "attach", ""], {
    EXOLOOP_URL: "http://127.0.0.1:9",
  });
  expect(ended).toMatchObject({ code: 0, stderr: "" });
});

test("doctor on a machine without bubblewrap says so and exits with 1", async () => {
  const ended = await exoloop(["doctor", "--json"], { PATH: dirname(process.execPath) });
  expect(ended.code).toBe(1);
  const report: unknown = JSON.parse(ended.stdout);
  expect(report).toMatchObject({ ok: false });
  expect(ended.stdout).toMatch(/bubblewrap|bwrap/);
});
