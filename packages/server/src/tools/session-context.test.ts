import { expect, it } from "vitest";
import type { SessionView } from "../files/session-mounts.ts";
import { memoryStore } from "../files/testing-store.ts";
import { createToolContext } from "./session-context.ts";
import { filesOf, noBackground } from "./testing.ts";
import type { CommandOutcome } from "./tool.ts";

const owner = { organizationId: "org_1", sessionId: "sesn_1" };
const clean: SessionView = { userId: null, mounts: [], background: false, untrusted: false, holdsUntrusted: false };
const outcome: CommandOutcome = {
  output: "",
  truncated: false,
  exit: { type: "exited", code: 0 },
  notices: [],
  awakeMs: 1,
};
const request = { commandId: "evt_1", command: "cat a", timeoutMs: 1, reattach: false };

/** A command in whose time a marked file came, or went. */
async function runCommand(before: Partial<SessionView>, after: Partial<SessionView>): Promise<boolean | undefined> {
  let view = { ...clean, ...before };
  const { signal: abortSignal } = new AbortController();
  const context = await createToolContext(
    {
      viewOf: () => Promise.resolve(view),
      filesOf: () => filesOf(memoryStore({})),
      commandsOf: () => ({
        run: () => {
          view = { ...clean, ...after };
          return Promise.resolve(outcome);
        },
      }),
      backgroundOf: () => noBackground,
      saveFiles: () => Promise.resolve(),
      describeOrigin: () => Promise.resolve(null),
    },
    owner,
    { toolUseId: "evt_1", bound: null },
    { resumed: false, abortSignal },
  );
  await context.commands.run({ ...request, abortSignal });
  return context.hasReadUntrusted?.();
}

it("a command may have read a marked file that came while it waited, or that is gone by now", async () => {
  expect(await runCommand({}, {})).toBe(false);
  expect(await runCommand({ holdsUntrusted: true }, {})).toBe(true);
  expect(await runCommand({}, { holdsUntrusted: true })).toBe(true);
});
