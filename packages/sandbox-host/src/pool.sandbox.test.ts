import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { directoriesOf, readState } from "./state.ts";
import { type TestHost, collect, openTestHost, resources, until } from "./test-host.ts";

let test: TestHost;
beforeAll(async () => {
  test = await openTestHost();
});
afterAll(() => test.close());

/** Slots in use, whether somebody has them or not. */
const slots = () =>
  readdirSync(test.host.sandboxesDirectory).flatMap((slot) => {
    const state = readState(directoriesOf(test.host.sandboxesDirectory, slot).state);
    return state === null ? [] : [state];
  });
const waiting = () => slots().filter((state) => state.id === null);
const environment = { KIND: "pooled" };

describe("the warm pool", () => {
  it("gives what it has to whoever asks for the same, and is filled again", async () => {
    await test.provider.keepWarm({ count: 2, resources, environment });
    await until(() => waiting().length === 2, "it is full");
    expect(await test.provider.list()).toEqual([]);
    const ready = waiting().map((state) => state.slot);
    const sandbox = await test.sandbox({ environment });
    expect(ready).toContain(test.state(sandbox).slot);
    expect((await sandbox.session.run({ command: "echo $KIND" })).stdout).toBe("pooled\n");
    expect(Date.now() - (await sandbox.status()).createdAt).toBeLessThan(5_000);
    await until(() => waiting().length === 2, "it is full again");
    const other = await test.sandbox({ environment: {} });
    expect(ready).not.toContain(test.state(other).slot);
    expect(waiting().every((state) => state.environment["KIND"] === "pooled")).toBe(true);
    await sandbox.destroy();
    await other.destroy();
  });

  it("replaces what died, and what nobody wants any more", async () => {
    const [dead] = waiting();
    process.kill(dead?.supervisorPid ?? 0, "SIGKILL");
    await until(() => waiting().every((state) => state.slot !== dead?.slot), "its death was noticed");
    const sandbox = await test.sandbox({ environment });
    expect((await sandbox.session.run({ command: "echo alive" })).stdout).toBe("alive\n");
    await sandbox.destroy();
    await test.provider.keepWarm({ count: 1, resources, environment: {} });
    await until(() => waiting().length === 1 && waiting()[0]?.environment["KIND"] === undefined, "it was replaced");
    await expect(test.provider.keepWarm({ count: 33, resources, environment })).rejects.toThrow("from 0 to 32");
    await test.provider.keepWarm({ count: 0, resources, environment: {} });
    await until(() => waiting().length === 0, "it is empty");
  });

  it("leaves nothing of itself to the next daemon; a command runs on and is joined again", async () => {
    await test.provider.keepWarm({ count: 2, resources, environment });
    await until(() => waiting().length === 2, "it is full");
    const sandbox = await test.sandbox({ environment });
    const counting = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.2; done";
    await sandbox.session.spawn({ commandId: "count", command: counting });
    await test.crash();
    await test.restart();
    expect(slots().map((state) => state.id)).toEqual([sandbox.reference.id]);
    const again = await sandbox.session.attachCommand({ commandId: "count", byteOffset: 0 });
    expect(again === null ? "" : await collect(again)).toBe("1\n2\n3\n4\n5\n6\n");
    expect((await sandbox.status()).owner).toBe("test");
    await sandbox.destroy();
  });
});
