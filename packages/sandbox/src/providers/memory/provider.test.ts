import { afterEach, expect, it } from "vitest";
import { SandboxGoneError } from "../../errors.ts";
import { createMemoryProvider } from "./provider.ts";

const provider = createMemoryProvider();
const request = {
  id: "sbx_00000000000000000000000001",
  owner: "test",
  resources: { memoryBytes: 64 << 20, processes: 16, cpus: 1, diskBytes: 1 << 20, files: 100 },
  environment: { NAME: "world" },
};
afterEach(() => provider.controls.lose(request.id));

async function awake() {
  const sandbox = await provider.create(request);
  await sandbox.resume();
  return sandbox;
}

it("runs its part of bash as bash does", async () => {
  const { session } = await awake();
  const run = async (command: string) => {
    const { exit, stdout, stderr } = await session.run({ command });
    return [exit.type === "exited" ? exit.code : exit, stdout, stderr];
  };
  expect(await run("echo hello $NAME \"$NAME\" '$NAME'")).toEqual([0, "hello world world $NAME\n", ""]);
  expect(await run("false || echo or; true && echo and; false && echo not; echo $?")).toEqual([0, "or\nand\n1\n", ""]);
  expect(await run("printf '%s-%d\\101\\n' a 7 >&2")).toEqual([0, "", "a-7A\n"]);
  expect(await run("X=1; echo $X > f; echo 2 >> f; cat f; cat < f; exit 3")).toEqual([3, "1\n2\n1\n2\n", ""]);
  expect((await run("nothing"))[0]).toBe(127);
  expect((await run("cat absent"))[0]).toBe(1);
  expect(await run("sleep 30 & echo $!; kill $!; wait; echo ended")).toEqual([
    0,
    expect.stringMatching(/^\d+\nended\n$/),
    "",
  ]);
});

it("refuses what it does not understand", async () => {
  const { session } = await awake();
  for (const command of ["echo a | cat", "echo $(date)", "for x in 1; do :; done | cat", "echo *", "( echo )"]) {
    const { exit, stderr, stdout } = await session.run({ command });
    expect([exit, stdout]).toEqual([{ type: "exited", code: 2 }, ""]);
    expect(stderr).toContain("only a part of bash");
  }
});

it("fails when it is told to", async () => {
  const sandbox = await awake();
  provider.controls.failNext("writeFile", new Error("on purpose"));
  const write = () => sandbox.session.writeBinaryFile({ path: "/workspace/x", content: new Uint8Array(3) });
  await expect(write()).rejects.toThrow("on purpose");
  await write();
  const running = await sandbox.session.spawn({ command: "sleep 30" });
  provider.controls.lose(request.id);
  await expect(running.wait()).rejects.toBeInstanceOf(SandboxGoneError);
  await expect(write()).rejects.toBeInstanceOf(SandboxGoneError);
  await expect(provider.attach(sandbox.reference)).rejects.toBeInstanceOf(SandboxGoneError);
  expect(provider.controls.calls("writeFile")).toBe(3);
});

it("has no more room than it was given", async () => {
  const { session } = await awake();
  const big = { path: "/workspace/big", content: new Uint8Array(400_000) };
  await session.writeBinaryFile(big);
  await session.writeBinaryFile(big);
  await expect(
    session.writeBinaryFile({ ...big, path: "/workspace/more", content: new Uint8Array(700_000) }),
  ).rejects.toMatchObject({ code: "no_space" });
  expect((await session.run({ command: "cat big > more; cat big > again" })).exit).toEqual({ type: "exited", code: 1 });
});
