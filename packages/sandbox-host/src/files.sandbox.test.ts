import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { type TestHost, openTestHost } from "./test-host.ts";

let test: TestHost;
let sandbox: Sandbox;
beforeAll(async () => {
  test = await openTestHost();
  sandbox = await test.sandbox();
});
afterAll(() => test.close());

const text = async (path: string) => {
  const bytes = await sandbox.session.readBinaryFile({ path });
  return bytes === null ? null : Buffer.from(bytes).toString();
};
const shell = async (command: string) => (await sandbox.session.run({ command })).stdout;

describe("files", () => {
  it("are written with their parents, read, replaced and deleted", async () => {
    const { session } = sandbox;
    const path = "/workspace/a/b/note.txt";
    expect(await text(path)).toBeNull();
    await session.writeBinaryFile({ path, content: Buffer.from("one"), mode: 0o755 });
    await session.writeBinaryFile({ path, content: Buffer.from("two") });
    expect(await text(path)).toBe("two");
    expect(await session.stat({ path })).toMatchObject({ kind: "file", size: 3, mode: 0o755 });
    expect(await shell("ls -A /workspace/a/b")).toBe("note.txt\n");
    expect(await session.deleteFile({ path })).toBe(true);
    expect(await session.deleteFile({ path })).toBe(false);
    await expect(session.deleteFile({ path: "/workspace/a" })).rejects.toMatchObject({ code: "is_directory" });
    expect(await session.deleteFile({ path: "/workspace/a", recursive: true })).toBe(true);
    expect(await session.stat({ path: "/workspace/a" })).toBeNull();
    await session.writeBinaryFile({ path: "/memory/me/x", content: new Uint8Array() });
    expect(await text("/memory/me/x")).toBe("");
  });

  it("stream at the reader's pace and are bounded where a bound is asked for", async () => {
    await shell("head -c 20000000 /dev/urandom > /workspace/big; sha256sum < /workspace/big > /workspace/sum");
    let size = 0;
    for await (const part of (await sandbox.session.readFile({ path: "/workspace/big" })) ?? []) size += part.length;
    expect(size).toBe(20_000_000);
    const refused = sandbox.session.readBinaryFile({ path: "/workspace/big", maximumBytes: 1000 });
    await expect(refused).rejects.toMatchObject({ code: "too_large" });
    const bytes = await sandbox.session.readBinaryFile({ path: "/workspace/big" });
    await sandbox.session.writeBinaryFile({ path: "/workspace/copy", content: bytes ?? new Uint8Array() });
    expect(await shell("sha256sum < /workspace/copy | diff - /workspace/sum && echo same")).toBe("same\n");
    const abandoned = await sandbox.session.readFile({ path: "/workspace/big" });
    await abandoned?.cancel();
    expect(await sandbox.session.readFile({ path: "/workspace/none" })).toBeNull();
  });

  it("do not reach the host through links, whoever made them", async () => {
    const { session } = sandbox;
    const secret = join(test.directory, "secret.txt");
    writeFileSync(secret, "host", { mode: 0o644 });
    await shell(`ln -s /etc/shadow /workspace/shadow; ln -s ${secret} /workspace/host; ln -s / /workspace/root`);
    symlinkSync("/etc/shadow", join(test.directoryOf(sandbox), "workspace/planted"));
    for (const path of ["shadow", "host", "planted", `root${secret}`])
      expect(await text(`/workspace/${path}`)).toBeNull();
    await session.writeBinaryFile({ path: "/workspace/host", content: Buffer.from("changed") }).catch(() => {});
    const { stdout } = await session.run({ command: `cat ${secret}` });
    expect(stdout).not.toContain("host");
    expect(await session.deleteFile({ path: "/workspace/root" })).toBe(true);
    expect(await shell("ls -d /usr")).toBe("/usr\n");
    rmSync(secret);
  });

  it("are regular files only: a FIFO, a directory and a device are refused at once", async () => {
    await shell("mkfifo /workspace/pipe");
    await expect(text("/workspace/pipe")).rejects.toMatchObject({ code: "not_regular" });
    await expect(text("/workspace")).rejects.toMatchObject({ code: "is_directory" });
    await expect(text("/dev/zero")).rejects.toMatchObject({ code: "not_regular" });
    const onDirectory = sandbox.session.writeBinaryFile({ path: "/workspace", content: new Uint8Array() });
    await expect(onDirectory).rejects.toMatchObject({ code: "is_directory" });
    const onSystem = sandbox.session.writeBinaryFile({ path: "/usr/bin/x", content: Buffer.from("x") });
    await expect(onSystem).rejects.toMatchObject({ code: "no_permission" });
    await expect(text("relative")).rejects.toMatchObject({ code: "failed" });
    await expect(text("/nul\0")).rejects.toMatchObject({ code: "failed" });
  });

  it("are listed without following links, with a fingerprint that notices every change", async () => {
    await shell(
      "rm -rf /workspace/t; mkdir -p /workspace/t/sub; cd /workspace/t; echo a > sub/f; ln -s /usr link; mkfifo p",
    );
    const { session } = sandbox;
    const entries = await session.listDirectory({ path: "/workspace/t" });
    expect(entries?.toSorted((left, right) => left.name.localeCompare(right.name))).toEqual([
      { name: "link", kind: "symlink" },
      { name: "p", kind: "other" },
      { name: "sub", kind: "directory" },
    ]);
    expect(await session.listDirectory({ path: "/workspace/none" })).toBeNull();
    await expect(session.listDirectory({ path: "/workspace/t/sub/f" })).rejects.toMatchObject({
      code: "not_directory",
    });
    const scan = async () =>
      new Map((await session.listTree({ path: "/workspace/t" })).map((entry) => [entry.path, entry]));
    const before = await scan();
    expect([...before.keys()].toSorted()).toEqual([
      "/workspace/t/link",
      "/workspace/t/p",
      "/workspace/t/sub",
      "/workspace/t/sub/f",
    ]);
    await shell("cd /workspace/t/sub; cp -p f g; echo b > f; touch -r g f; rm g");
    const after = await scan();
    const file = "/workspace/t/sub/f";
    expect(after.get(file)?.modifiedAt).toBe(before.get(file)?.modifiedAt);
    expect(after.get(file)?.fingerprint).not.toBe(before.get(file)?.fingerprint);
    expect(after.get("/workspace/t/link")).toEqual(before.get("/workspace/t/link"));
    await expect(session.listTree({ path: "/workspace/t", maximumEntries: 2 })).rejects.toMatchObject({
      code: "too_large",
    });
    expect(await session.listTree({ path: "/workspace/none" })).toEqual([]);
  });

  it("are served while the workload stands still", async () => {
    await sandbox.suspend();
    await sandbox.session.writeBinaryFile({ path: "/workspace/frozen", content: Buffer.from("x") });
    expect(await text("/workspace/frozen")).toBe("x");
    await sandbox.resume();
  });

  it("never hold up others: many operations at once, more than there are channels", async () => {
    const numbers = Array.from({ length: 100 }, (_, index) => index);
    await Promise.all(
      numbers.map((number) =>
        sandbox.session.writeBinaryFile({ path: `/workspace/many/${number}`, content: Buffer.from(String(number)) }),
      ),
    );
    const read = await Promise.all(numbers.map((number) => text(`/workspace/many/${number}`)));
    expect(read).toEqual(numbers.map(String));
  });
});
