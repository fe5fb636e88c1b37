/**
 * A workspace of many entries goes through its life as any other. With EXOLOOP_MANY_DIRECTORIES=2000 it has 210,000, with
 * 9500 about as many as a sandbox may have by default; both take minutes where the disk is busy.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { putIdleAway } from "./life/idle.ts";
import { type SandboxTest, startSandboxTest } from "./testing.ts";

const directories = Number(process.env["EXOLOOP_MANY_DIRECTORIES"] ?? 250);
/** Each with 50 files and 54 links. */
const entries = directories * 105;
const limitMs = 60_000 + directories * 400;

let test: SandboxTest;
beforeAll(async () => {
  test = await startSandboxTest();
});
afterAll(() => test.stop());

const fill = `python3 - <<'END'
import os
for d in range(${directories}):
  os.mkdir(f"d{d}")
  for f in range(50):
    with open(f"d{d}/f{f}", "w") as file: file.write(f"{d} {f}")
  for l in range(54): os.symlink(f"f{l}", f"d{d}/l{l}")
END`;
const look = "find . -type f -print0 | sort -z | xargs -0 cat | sha256sum; find . | sort | sha256sum; find . | wc -l";

it(
  "is put away, restored, and changed again",
  async () => {
    const owner = await test.createOwner();
    const worker = test.worker({ resources: { ...test.base.resources, files: 1_000_000 } });
    const run = (command: string) => test.run(worker, owner, command, { timeoutMs: limitMs });
    await run(fill);
    const { output } = await run(look);
    expect(output).toMatch(new RegExp(`\\n${entries + 1}\\n`));
    await putIdleAway(worker, 0);
    expect(await test.rowOf(owner)).toMatchObject({ state: "snapshotted", sandbox_id: null });
    expect((await run(look)).output).toBe(output);
    await run("echo new > d7/f7");
    await putIdleAway(worker, 0);
    expect((await run("cat d7/f7; find . | wc -l")).output).toBe(`new\n${entries + 1}\n`);
  },
  limitMs * 3,
);
