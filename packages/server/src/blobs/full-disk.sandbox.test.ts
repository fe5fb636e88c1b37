/** A disk that is full while a snapshot is stored: a small filesystem of its own, in a mount namespace. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const sources = join(import.meta.dirname, "..");

/** Takes a snapshot of 5 MB on a disk of 4 MB, then one of 1 MB, and restores that. */
const program = `
  import { readdir } from "node:fs/promises";
  import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
  const load = (path) => import(${JSON.stringify(`${sources}/`)} + path);
  const { createDirectoryBlobStore } = await load("blobs/directory-store.ts");
  const { captureWorkspace } = await load("sandboxes/snapshots/capture.ts");
  const { restoreWorkspace } = await load("sandboxes/snapshots/restore.ts");
  const { createSandbox, describeTree, file, noise, place } = await load("sandboxes/snapshots/testing.ts");
  const organizationId = "org_" + "0".repeat(26);
  const blobs = createDirectoryBlobStore(process.env.DISK);
  const provider = createMemoryProvider();
  const sandbox = await createSandbox(provider);
  const request = { session: sandbox.session, sandboxId: sandbox.reference.id, root: "/workspace", blobs, organizationId };
  await place(sandbox.session, file("kept", noise(1_000_000)));
  const first = await captureWorkspace({ ...request, previous: null });
  await place(sandbox.session, file("large", noise(5_000_000)));
  const failed = await captureWorkspace({ ...request, previous: first.manifest }).then(() => null, String);
  const incoming = await readdir(process.env.DISK + "/incoming");
  const damaged = [];
  for await (const { sha256 } of blobs.list(organizationId)) await blobs.get(organizationId, sha256).catch((error) => damaged.push(String(error)));
  await sandbox.session.deleteFile({ path: "/workspace/large" });
  await place(sandbox.session, file("small", noise(500_000)));
  const next = await captureWorkspace({ ...request, previous: first.manifest });
  const other = await createSandbox(provider);
  await restoreWorkspace({ ...request, session: other.session, sandboxId: other.reference.id, manifest: next.manifest, present: null });
  const same = JSON.stringify(await describeTree(other.session)) === JSON.stringify(await describeTree(sandbox.session));
  console.log(JSON.stringify({ failed, incoming, damaged, same }));
`;

test("a full disk fails the snapshot and leaves nothing half stored; with room again the next one succeeds", async () => {
  const disk = await mkdtemp(join(tmpdir(), "exoloop-full-"));
  const namespaces = process.getuid?.() === 0 ? ["--mount"] : ["--user", "--map-root-user", "--mount"];
  const script = 'mount -t tmpfs -o size=4m tmpfs "$DISK" && exec "$NODE" --input-type=module --eval "$PROGRAM"';
  try {
    const { stdout } = await promisify(execFile)("unshare", [...namespaces, "sh", "-c", script], {
      env: { ...process.env, DISK: disk, NODE: process.execPath, PROGRAM: program },
      cwd: sources,
      timeout: 30_000,
    });
    const { failed, ...rest } = JSON.parse(stdout) as Record<string, unknown>;
    expect(failed).toMatch(/ENOSPC/);
    expect(rest).toEqual({ incoming: [], damaged: [], same: true });
  } finally {
    await rm(disk, { recursive: true, force: true });
  }
});
