import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createId } from "@exoloop/protocol/ids";
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { createRandom } from "@exoloop/sandbox/testing/random";
import { type SandboxHost, startSandboxHost } from "@exoloop/sandbox-host/start";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createDirectoryBlobStore } from "../../blobs/directory-store.ts";
import type { BlobStore } from "../../blobs/store.ts";
import { captureWorkspace } from "./capture.ts";
import { type Manifest, sameWorkspace } from "./manifest.ts";
import { restoreWorkspace } from "./restore.ts";
import { loadManifest, storeManifest } from "./stored-manifest.ts";
import { changeRandomly, createSandbox, describeTree, file, noise, place, testRoot as root } from "./testing.ts";

const organizationId = createId("organization");
let directory: string;
let host: SandboxHost;
let provider: SandboxProvider;
let blobs: BlobStore;
let sandbox: Sandbox;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "exoloop-snapshots-"));
  host = await startSandboxHost({ directory: join(directory, "host"), mode: "auto", endsWithParent: true });
  provider = await createLocalProvider({ socketPath: host.socketPath });
  blobs = createDirectoryBlobStore(join(directory, "blobs"));
});
afterAll(async () => {
  await provider.close();
  await host.stop();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  sandbox = await createSandbox(provider);
  return () => sandbox.destroy();
});

function capture(from: Sandbox, previous: Manifest | null = null) {
  const { session, reference } = from;
  return captureWorkspace({ session, sandboxId: reference.id, root, previous, blobs, organizationId });
}

function restore(manifest: Manifest, into: Sandbox, present: Manifest | null = null) {
  const { session, reference } = into;
  return restoreWorkspace({ session, sandboxId: reference.id, root, manifest, present, blobs, organizationId });
}

/** Runs a command, and stops the sandbox again. */
async function run(target: Sandbox, command: string): Promise<string> {
  await target.resume();
  const { exit, stdout, stderr } = await target.session.run({ command, workingDirectory: root });
  await target.suspend();
  expect([exit, stderr]).toEqual([{ type: "exited", code: 0 }, ""]);
  return stdout;
}

const everything = `
set -e
mkdir -p empty a/b/c open shut/inside
echo text > a/b/c/file; ln -s ../nowhere a/dangling; ln -s /etc/passwd a/absolute
echo one > a/first; ln a/first a/second
truncate -s 20M holes; printf middle | dd of=holes bs=1 seek=9000000 conv=notrunc 2>/dev/null
truncate -s 3M onlyhole; : > nothing
printf x > "$(printf 'new\\nline')"; printf y > -- '-rf'; printf z > 'ünïcode'
echo closed > none; chmod 000 none; echo ro > ro; chmod 444 ro; echo x > run; chmod 755 run
mkfifo fifo
echo in > shut/inside/file; chmod 555 shut/inside; chmod 000 shut
touch -d '2001-02-03 04:05:06.789' old`;

test("everything that a workspace may hold comes back, and a second look reads nothing", async () => {
  await run(sandbox, everything);
  const first = await capture(sandbox);
  expect([first.unsettled, first.manifest.leftOut]).toEqual([0, 1]);
  const again = await capture(sandbox, first.manifest);
  expect([again.filesRead, again.stored]).toEqual([0, []]);
  const { manifest } = again;
  expect(sameWorkspace(manifest, first.manifest)).toBe(true);

  const other = await createSandbox(provider);
  const present = await restore(manifest, other);
  // Before the file that nobody may read is: that changes its fingerprint.
  expect((await capture(other, present)).filesRead).toBe(0);
  const expected = await describeTree(sandbox.session);
  expect(Object.keys(expected).length).toBeGreaterThan(20);
  const { [`${root}/fifo`]: fifo, ...without } = expected;
  expect(fifo).toMatchObject({ kind: "other" });
  expect(await describeTree(other.session)).toEqual(without);
  expect(await run(other, "du -k holes onlyhole | awk '{ s += $1 } END { print (s < 1000) }'")).toBe("1\n");
  await other.destroy();
});

test("what is in the way is replaced, closed directories too, and no link is followed", async () => {
  await run(sandbox, "mkdir -p a/b c; echo 1 > a/b/f; echo 2 > c/f; ln -s a link");
  const { manifest } = await capture(sandbox);
  const other = await createSandbox(provider);
  await run(
    other,
    "mkdir -p x/y link/z; echo 3 > x/y/f; chmod 000 x/y; chmod 500 x; ln -s /tmp a; ln -s /etc c; echo > /tmp/f",
  );
  await restore(manifest, other);
  expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
  expect(await run(other, "cat a/b/f c/f link/b/f; ls -A; ls /tmp/f")).toBe("1\n2\n1\na\nc\nlink\n/tmp/f\n");
  await other.destroy();
});

/** Deeper than a path may be that is opened at once, its names are made from inside. */
const deep = `
python3 - <<'END'
import os
for letter in "abcdefghijklmno":
  os.mkdir(letter * 250)
  os.chdir(letter * 250)
for index in range(3000):
  with open(f"{index}".ljust(200, "f"), "w") as file: file.write(f"{index}")
for index in range(3000): os.symlink(f"{index}".ljust(4000, "\x01"), f"{index}".ljust(200, "l"))
END`;

test("thousands of the longest paths and targets are captured and restored", async () => {
  await run(sandbox, deep);
  const captured = await capture(sandbox);
  expect([captured.manifest.files.length, captured.manifest.links.length, captured.beyond.count]).toEqual([
    3000, 3000, 0,
  ]);
  const stored = await storeManifest(blobs, organizationId, captured.manifest);
  const manifest = await loadManifest(blobs, organizationId, stored.at(-1)?.sha256 ?? "");
  const other = await createSandbox(provider);
  const present = await restore(manifest, other);
  const again = await capture(other, present);
  expect([again.filesRead, sameWorkspace(again.manifest, manifest)]).toEqual([0, true]);
  await other.destroy();
});

test("30 random histories are equal after they are restored over one another", async () => {
  const random = createRandom(4);
  const other = await createSandbox(provider);
  let previous: Manifest | null = null;
  let present: Manifest | null = null;
  for (let round = 0; round < 30; round += 1) {
    for (let change = random.below(8); change >= 0; change -= 1) await changeRandomly(random, sandbox.session);
    const { manifest } = await capture(sandbox, previous);
    present = await restore(manifest, other, present);
    expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
    previous = manifest;
  }
  await other.destroy();
});

test("a workspace that is written to all the time is captured, and what changed is read again", async () => {
  await place(sandbox.session, file("still", noise(200_000)));
  await sandbox.resume();
  const writer = await sandbox.session.spawn({ command: "while :; do date +%N >> log; done", workingDirectory: root });
  const { manifest, unsettled } = await capture(sandbox);
  expect(unsettled).toBeLessThanOrEqual(1);
  await writer.kill();
  await sandbox.suspend();
  const last = await capture(sandbox, manifest);
  expect([last.filesRead, last.unsettled]).toEqual([1, 0]);
  const other = await createSandbox(provider);
  await restore(last.manifest, other);
  expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
  await other.destroy();
});
