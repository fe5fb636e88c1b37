import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { type TestHost, isAlive, openTestHost } from "./test-host.ts";

let test: TestHost;
let sandbox: Sandbox;
beforeAll(async () => {
  test = await openTestHost({ mode: "weak" });
  sandbox = await test.sandbox();
});
afterAll(() => test.close());
const shell = async (command: string) => (await sandbox.session.run({ command })).stdout.trim();

describe("--sandbox weak", () => {
  it("says what it is", () => {
    expect(test.provider.capabilities.isolation).toBe("weak");
    expect(sandbox.session.description).toContain("$WORKSPACE");
  });

  it("gives commands and file operations the same files under both names", async () => {
    await sandbox.session.writeBinaryFile({ path: "/workspace/a/b", content: Buffer.from("one") });
    expect(await shell("cat $WORKSPACE/a/b; echo two > a/c; pwd | grep -c /workspace")).toBe("one1");
    expect(Buffer.from((await sandbox.session.readBinaryFile({ path: "/workspace/a/c" })) ?? []).toString()).toBe(
      "two\n",
    );
    const tree = await sandbox.session.listTree({ path: "/workspace" });
    expect(tree.map((entry) => entry.path).toSorted()).toEqual(["/workspace/a", "/workspace/a/b", "/workspace/a/c"]);
  });

  it("writes nowhere else, and reads neither the daemon's files nor another sandbox's", async () => {
    const secret = join(test.directory, "secret");
    writeFileSync(secret, "secret", { mode: 0o644 });
    const other = await test.sandbox();
    await other.session.writeBinaryFile({ path: "/workspace/x", content: Buffer.from("other") });
    const foreign = join(test.directoryOf(other), "workspace/x");
    expect(
      await shell(
        `cat ${secret} ${foreign}; echo x > /tmp/exoloop-weak && echo written; (exec 3<>/dev/tcp/127.0.0.1/22) && echo connected`,
      ),
    ).toBe("");
    expect(await shell("grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | cut -f2 | xargs; id -G")).toBe(
      `1 2\n${test.state(sandbox).userId}`,
    );
    await expect(sandbox.session.readBinaryFile({ path: secret })).rejects.toMatchObject({ code: "no_permission" });
    await other.destroy();
  });

  it("leaves no process when it is destroyed", async () => {
    const doomed = await test.sandbox();
    const process = await doomed.session.spawn({ command: "setsid sleep 700 & echo $!; sleep 701" });
    const { value } = await process.output[Symbol.asyncIterator]().next();
    const pid = Number(Buffer.from(value?.bytes ?? []).toString());
    expect(isAlive(pid)).toBe(true);
    await doomed.destroy();
    expect(isAlive(pid)).toBe(false);
  });
});
