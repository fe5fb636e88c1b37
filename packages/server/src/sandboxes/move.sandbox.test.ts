import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { type SandboxHost, startSandboxHost } from "@exoloop/sandbox-host/start";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findRunsc } from "@exoloop/sandbox-host/machine-programs";
import { moveSandbox } from "./life/move.ts";
import { type SandboxWorld, startSandboxWorld } from "./testing.ts";

const missing = findRunsc() === null;
if (missing) process.stderr.write("moving to gVisor is not tested: node scripts/setup/gvisor.mjs fetches it\n");

let directory: string;
let host: SandboxHost;
let world: SandboxWorld;
beforeAll(async () => {
  if (missing) return;
  directory = await mkdtemp(join(tmpdir(), "exoloop-move-"));
  await chmod(directory, 0o711);
  host = await startSandboxHost({ directory, mode: "auto", endsWithParent: true });
  const { socketPath } = host;
  world = await startSandboxWorld(
    await createLocalProvider({ socketPath }),
    await createLocalProvider({ socketPath, runtime: "gvisor" }),
  );
});
afterAll(async () => {
  if (missing) return;
  await world.stop();
  await host.stop();
  await rm(directory, { recursive: true, force: true });
});

it.skipIf(missing)(
  "a task goes on from bubblewrap in gVisor and back, its work intact",
  { timeout: 60_000 },
  async () => {
    const owner = await world.createOwner();
    const worker = world.worker();
    const run = async (command: string) => {
      const outcome = await world.run(worker, owner, command);
      expect([command, outcome.exit, outcome.output]).toMatchObject([
        command,
        { type: "exited", code: 0 },
        outcome.output,
      ]);
      return outcome;
    };
    await run("git init -q -b main repo && cd repo && git config user.email a@b && git config user.name n");
    await run(
      "cd repo && echo one > a && chmod 750 a && ln -s a link && git add -A && git commit -q -m one && echo draft > b",
    );
    const kernel = await run("uname -r");

    await moveSandbox(worker, owner, "gvisor");
    const inside = await run("cd repo && git status --porcelain && cat link && stat -c %a a && uname -r");
    expect(inside.output).toMatch(/^\?\? b\none\n750\n/);
    expect(inside.output).not.toContain(kernel.output.trim());
    expect(inside.notices.join()).toContain("gvisor");
    await run("cd repo && git add b && git commit -q -m two && head -c 100000 /dev/urandom > c && sha256sum c > sums");

    await moveSandbox(worker, owner, "local");
    const back = await run("cd repo && sha256sum --check --quiet sums && git log --format=%s && cat link && uname -r");
    expect(back.output).toBe(`two\none\none\n${kernel.output}`);
    expect((await world.rowOf(owner)).generation).toBe(3);
  },
);
