import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import { it } from "vitest";
import { createTestSandbox } from "../../testing.ts";
import { createSessionTarget } from "./session-target.ts";
import { expectTargetBehaviour } from "./testing.ts";

it("copies in a sandbox whose session answers for files", async () => {
  const sandbox = await createTestSandbox(createMemoryProvider());
  await sandbox.resume();
  await expectTargetBehaviour(createSessionTarget(sandbox.session), (command) => sandbox.session.run({ command }));
});
