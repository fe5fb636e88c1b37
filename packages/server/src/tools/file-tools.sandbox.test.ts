/** What the tools answer about files of a sandbox: the cases that also run over stored files. */
import { createId } from "@exoloop/protocol/ids";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RoutedFiles } from "../files/router.ts";
import { createSandboxStore } from "../files/sandbox-store.ts";
import { createTestSandbox, startTestHost, type TestHost, workspaceOf } from "../files/testing.ts";
import { answerOf, callTool, filesOf, stepsIn } from "./testing.ts";
import { toolCases } from "./testing-cases.ts";

let host: TestHost;
let sandbox: Sandbox;
let files: RoutedFiles;

beforeAll(async () => {
  host = await startTestHost();
  sandbox = await createTestSandbox(host.provider);
  files = filesOf(createSandboxStore((use) => use(workspaceOf(sandbox))));
}, 60_000);
afterAll(() => host?.stop(), 30_000);

async function call(name: string, input: Record<string, unknown>): Promise<string> {
  const actor = { organizationId: "org_1", sessionId: null, toolUseId: null, via: "tool" } as const;
  return answerOf(await callTool(name, input, { toolUseId: createId("event"), actor, files }));
}

describe("answers on files of a sandbox", () => {
  it.each(
    toolCases.filter((one) => one.notSupported?.in !== "sandbox").map((one, index) => [one.name, one, index] as const),
  )("%s", async (_name, one, index) => {
    for (const { tool, input, answer } of stepsIn(one, `/workspace/case${index}`, false))
      expect(await call(tool, input), JSON.stringify(input)).toBe(answer);
    expect((await sandbox.status()).state).toBe("suspended");
  });

  it("a patch keeps the mode of what it changes and moves", async () => {
    const path = "/workspace/run.sh";
    await sandbox.session.writeBinaryFile({ path, content: Buffer.from("#!/bin/sh\necho a\n"), mode: 0o755 });
    const moved = "*** Begin Patch\n*** Update File: run.sh\n*** Move to: bin/go.sh\n-echo a\n+echo b\n*** End Patch";
    await call("apply_patch", { patch: moved });
    expect((await sandbox.session.stat({ path: "/workspace/bin/go.sh" }))?.mode).toBe(0o755);
    expect(await sandbox.session.stat({ path })).toBeNull();
  });

  it("directories are made, listed, moved and removed, never through a shell's eyes", async () => {
    const actor = { organizationId: "org_1", sessionId: null, toolUseId: null, via: "tool" } as const;
    const odd = "/workspace/dirs/a $(touch /workspace/pwned) 'b\"";
    await files.makeDirectory(odd, actor);
    await files.write(`${odd}/x`, Buffer.from("x"), actor);
    await files.rename(odd, "/workspace/dirs/-n/deep", actor);
    expect((await files.list("/workspace/dirs/-n", 9)).map(({ kind, path }) => [kind, path])).toEqual([
      ["directory", "/workspace/dirs/-n/deep"],
    ]);
    await expect(files.rename("/workspace/dirs", "/workspace/dirs/-n", actor)).rejects.toMatchObject({
      code: "path_conflict",
    });
    await expect(files.rename("/workspace/dirs", "/workspace/dirs/-n/deep/in", actor)).rejects.toMatchObject({
      code: "failed",
    });
    expect(await files.removeTree("/workspace/dirs", actor)).toEqual({ files: 1 });
    expect(await files.stat("/workspace/dirs")).toBeNull();
    expect(await files.stat("/workspace/pwned")).toBeNull();
  });
});
