/** What a lost sandbox takes with it, of a workspace of 200 MB in 20,000 files. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createDirectoryBlobStore } from "../blobs/directory-store.ts";
import { createLogger } from "../telemetry/logger.ts";
import { createSnapshots } from "./snapshots/stored-snapshots.ts";
import { eventually, type SandboxTest, startSandboxTest, type Worker } from "./testing.ts";
import type { SandboxOwner } from "./workspace.ts";

let test: SandboxTest;
let directory: string;
let worker: Worker;
const logged: string[] = [];
beforeAll(async () => {
  test = await startSandboxTest();
  directory = await mkdtemp(join(tmpdir(), "exoloop-loss-"));
  const log = createLogger("warn", { write: (line) => logged.push(line) });
  const blobs = createDirectoryBlobStore(directory);
  worker = test.worker({ log, snapshots: createSnapshots({ ...test, blobs, log }) });
});
afterAll(async () => {
  await test.stop();
  await rm(directory, { recursive: true, force: true });
});

const fill =
  "for d in $(seq 100); do mkdir d$d && (cd d$d && head -c 2000000 /dev/urandom | split -b 10000 -a 3 -d - f); done";
/** A file of the round's own, 1 MB in a hundred files that were there, and the checksums of all of them. */
const change = (round: number) =>
  `for f in $(seq -f d%g/f00${round}); do head -c 10000 /dev/urandom > $f; done; sha256sum d*/f00${round} > sums-${round}`;

const snapshotFiles = async (owner: SandboxOwner): Promise<number> => {
  const { snapshot_id: id } = await test.rowOf(owner);
  if (id === null) return 0;
  const row = await test.database
    .selectFrom("snapshots")
    .select("files")
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  return row.files;
};

it("is at most the command that runs", async () => {
  const owner = await test.createOwner();
  await test.run(worker, owner, fill);
  await eventually(async () => (await snapshotFiles(owner)) === 20_000, 30_000);
  logged.length = 0;
  for (let round = 1; round <= 4; round += 1) {
    await test.run(worker, owner, change(round));
    const running = test.run(worker, owner, `echo > begun-${round}; sleep 20`);
    const begun = async () => {
      const { session } = await test.sandboxOf(owner);
      return (await session.stat({ path: `/workspace/begun-${round}` })) !== null;
    };
    await eventually(begun);
    await test.killBehindOurBack(owner);
    const lost = await running;
    expect(lost.notices.join()).toContain("its effects after the snapshot are lost");
    const { output } = await test.run(
      worker,
      owner,
      "cat sums-* | sha256sum --check --quiet && ls sums-* | wc -l && ls d*/* | wc -l && ls begun-* 2>/dev/null",
    );
    expect(output).toMatch(new RegExp(`^${round}\\n20000\\n`));
    expect(output).not.toContain(`begun-${round}`);
  }
  expect(logged.filter((line) => line.includes("snapshot_behind"))).toEqual([]);
}, 120_000);
