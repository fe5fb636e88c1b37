/** Every example runs as it stands, against a server of its own. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startTestServer, type TestServer } from "@exoloop/server/e2e/running";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);

describe("examples", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  }, 60_000);
  afterAll(() => server.stop());

  it.each([
    ["first-session.ts", /agent: That is its kernel\./],
    ["approval.ts", /approving sevt_…\nresult: .*approved.*\ndone/],
    ["sub-agents.ts", /started counter\nstarted counter\nBoth are counted\.\n(counted: .*"[37]".*\n){2}done/],
    ["custom-tool.ts", /looking up \{"number":7\}\nagent: Your order is on its way\./],
    [
      "wait-for-webhook.ts",
      /the session waits\ndelivered: 200\ngets: .*<webhook_delivery.*green.*\nagent: The build is green\./,
    ],
    ["outcome.ts", /needs_revision: One line.*\n.*\nsatisfied: Three lines.*\noutcome: satisfied after revision 1/],
    [
      "preview.ts",
      /agent: The page is at port 8000\.\npage: <h1>It works<\/h1>\ncommand: running\nprinted: ready \| asked: GET \/hello HTTP\/1\.1\s*\nended: true/,
    ],
    [
      "worker.ts",
      /the worker runs write\nit answers: .*note\.txt.*\nthe worker runs bash\nit answers: .*4.*\nagent: The note has four words\.\non this machine: Written by a worker\./,
    ],
    [
      "shared-memory.ts",
      /ann: File created.*\nbob: Releases: Carla decides\.\n[^]*bob: <files_sync>\nNOT SAVED [^]*Eva decides\.\n[^]*Dan decides\.\n[^]*undone: deleted .*team\.md\n[^]*bob: .*\ngone/,
    ],
    ["schedule.ts", /runs at 09:00 in Europe\/Berlin\nrun drun_…: agent: Good morning\.\narchived/],
  ])("%s", async (file, expected) => {
    const env = { ...process.env, EXOLOOP_URL: server.exoloop.url, EXOLOOP_API_KEY: server.apiKey };
    const { stdout } = await run(process.execPath, [`${import.meta.dirname}/${file}`], { env, timeout: 30_000 });
    expect(stdout).toMatch(expected);
  });

  it("the guide's shell commands work on files", async () => {
    const guide = readFileSync(new URL("../docs/guide/files.md", import.meta.url), "utf8");
    const commands = [...guide.matchAll(/```bash\n(.*?)```/gs)].map(([, block]) => block).join("\n");
    const program = fileURLToPath(new URL("../packages/cli/src/main.ts", import.meta.url));
    const exoloop = `exoloop() { '${process.execPath}' '${program}' "$@"; }\n`;
    const folder = await mkdtemp(join(tmpdir(), "exoloop-guide-"));
    const env = { ...process.env, EXOLOOP_URL: server.exoloop.url, EXOLOOP_API_KEY: server.apiKey };
    const { stdout } = await run("bash", ["-euo", "pipefail", "-c", `${exoloop}${commands}`], { env, cwd: folder });
    await rm(folder, { recursive: true });
    expect(stdout).toMatch(/^v3 .* write +api /m);
    expect(stdout).toContain("-We deploy on Tuesdays.\n+We deploy on Fridays.\nthey differ\n");
    expect(stdout).toContain('"revision":');
  }, 120_000);

  it("the guide's shell commands deliver to a webhook", async () => {
    const guide = readFileSync(new URL("../docs/guide/waiting.md", import.meta.url), "utf8");
    const commands = /```bash\n(.*?)```/s.exec(guide)?.[1] ?? "";
    const webhook = await server.sdk.post<{ id: string; secret: string }>("/v1/x/webhooks", {
      body: { name: "guide" },
    });
    const variables = {
      EXOLOOP_URL: server.exoloop.url,
      WEBHOOK_ID: webhook.id,
      EXOLOOP_WEBHOOK_SECRET: webhook.secret,
    };
    const { stdout } = await run("bash", ["-euo", "pipefail", "-c", commands], {
      env: { ...process.env, ...variables },
    });
    expect(JSON.parse(stdout)).toMatchObject({ type: "webhook_delivery", id: expect.stringMatching(/^msg_\d+$/) });
  });
});
