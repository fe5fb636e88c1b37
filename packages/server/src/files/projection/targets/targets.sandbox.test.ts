import type { Sandbox } from "@exoloop/sandbox/contract";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../db/testing.ts";
import { createTestSandbox, startTestHost, type TestHost } from "../../testing.ts";
import { encodeText } from "../../text.ts";
import { openProjectionTest } from "../testing.ts";
import { createExecTarget, type Executor } from "./exec-target.ts";
import { createSessionTarget } from "./session-target.ts";
import { expectTargetBehaviour } from "./testing.ts";

let test: TestDatabase;
let host: TestHost;
let sandbox: Sandbox;
beforeAll(async () => {
  test = await createTestDatabase();
  host = await startTestHost();
}, 90_000);
afterAll(async () => {
  await host?.stop();
  await test?.drop();
}, 30_000);
beforeEach(async () => {
  sandbox = await createTestSandbox(host.provider);
});
afterEach(() => sandbox?.destroy());

async function run(command: string, box = sandbox): Promise<void> {
  await box.resume();
  await box.session.run({ command, workingDirectory: "/workspace" });
  await box.suspend();
}

/** Commands whose `find` knows no `-printf`, and whose `tar` takes names as they are and no long options, as BusyBox's. */
async function asBusyBox(box: Sandbox): Promise<Executor> {
  const find = `#!/bin/sh\nfor a; do if [ "$a" = -printf ]; then echo 'find: unrecognized: -printf' >&2; exit 1; fi; done\nexec /usr/bin/find "$@"\n`;
  const tar = `#!/bin/sh\nfor a; do case "$a" in --*) echo "tar: unrecognized option '$a'" >&2; exit 1;; esac; done\nexec /usr/bin/tar --no-unquote "$@"\n`;
  for (const [name, text] of Object.entries({ find, tar }))
    await box.session.writeBinaryFile({ path: `/workspace/bin/${name}`, content: encodeText(text), mode: 0o755 });
  return {
    spawn: (options) =>
      box.session.spawn({ ...options, command: `export PATH="/workspace/bin:$PATH"\n${options.command}` }),
  };
}

describe("a target of each kind", () => {
  it("by what a sandbox's session offers", async () => {
    await expectTargetBehaviour(createSessionTarget(sandbox.session), run);
  });
  it("by commands alone", async () => {
    await expectTargetBehaviour(createExecTarget({ spawn: sandbox.session.spawn }), run);
  });
  it("by commands of BusyBox alone", async () => {
    await expectTargetBehaviour(createExecTarget(await asBusyBox(sandbox)), run);
  });
});

describe("a whole projection by commands alone", () => {
  const kinds = {
    GNU: (box: Sandbox): Promise<Executor> => Promise.resolve({ spawn: box.session.spawn }),
    BusyBox: asBusyBox,
  };
  for (const [name, executorOf] of Object.entries(kinds)) {
    it(`of ${name}: lays, captures, merges, refuses and restores`, async () => {
      const opened = await openProjectionTest(test, host);
      const executor = await executorOf(opened.sandbox);
      opened.newWorker({ targetOf: () => createExecTarget(executor) });
      try {
        for (let index = 0; index < 30; index += 1) await opened.save(`/memory/org/n/${index}.md`, `note ${index}\n`);
        const report = await opened.run(
          "cat /memory/org/n/*.md | wc -l; echo a >> /memory/org/n/1.md; rm /memory/org/n/2.md; ln -s /etc /memory/org/link; printf 'a\\0' > /memory/org/b; mkdir /memory/org/d",
          () => opened.saveOver("/memory/org/n/1.md", "note 1\nb\n"),
        );
        expect(report.output).toBe("30\n");
        expect(report.sync).toContain("merged /memory/org/n/1.md (v1→v3)");
        expect(report.sync).toContain("deleted /memory/org/n/2.md");
        expect(report.sync).toContain("made /memory/org/d/");
        expect(report.sync).toContain("not saved: /memory/org/link (symbolic link)");
        expect(report.sync).toContain("not saved: /memory/org/b (binary)");
        await opened.saveOver("/memory/org/n/3.md", "theirs\n");
        const next = await opened.run("cat /memory/org/n/1.md /memory/org/n/3.md; rm -rf /memory/org/n");
        expect(next.output).toBe("note 1\nb\na\ntheirs\n");
        expect(next.sync).toContain("held: 29 deletions");
        expect(await opened.run("cat /memory/org/n/*.md | wc -l")).toMatchObject({ output: "31\n", sync: null });
      } finally {
        await opened.sandbox.destroy();
      }
    });
  }
});
