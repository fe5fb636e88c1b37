import { createServer } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { diagnose } from "./doctor.ts";
import { findRunsc } from "./machine-programs.ts";
import { startSandboxHost } from "./start.ts";
import { type TestHost, openTestHost, resources } from "./test-host.ts";

let test: TestHost;
let sandbox: Sandbox;
beforeAll(async () => {
  process.env["EXOLOOP_TEST_SECRET"] = "do-not-leak";
  test = await openTestHost();
  sandbox = await test.sandbox();
});
afterAll(async () => {
  delete process.env["EXOLOOP_TEST_SECRET"];
  await test.close();
});
const shell = async (command: string) => (await sandbox.session.run({ command })).stdout.trim();
const python = async (code: string) =>
  (await sandbox.session.run({ command: "python3 -", stdin: Buffer.from(code) })).stdout.trim();

describe("the walls", () => {
  it("let nothing of the host's environment in", async () => {
    const everything = await shell("cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; env; set");
    expect(everything).toContain("WORKSPACE=/workspace");
    expect(everything).not.toContain("do-not-leak");
  });

  it("leave no network but an empty loopback", async () => {
    const server = createServer((_, response) => response.end("reached"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe("reached");
    expect(await shell(`(exec 3<>/dev/tcp/127.0.0.1/${port}) 2>&1 && echo reached`)).not.toContain("reached\n");
    expect(await shell("tail -n +3 /proc/net/dev | cut -d: -f1 | xargs")).toBe("lo");
    server.close();
  });

  it("separate sandboxes from each other and from the host", async () => {
    const other = await test.sandbox();
    await other.session.spawn({ command: "echo mine > /workspace/private; echo mine > /tmp/private; exec sleep 601" });
    expect(await shell("ls /workspace /tmp; ps -e -o args= | grep -c '[s]leep 601'")).toBe("/tmp:\n\n/workspace:\n0");
    expect(test.state(other).userId).not.toBe(test.state(sandbox).userId);
    expect(await shell(`ls ${test.host.sandboxesDirectory} 2>&1; ls /root /home /proc/1/root 2>&1`)).not.toContain(
      "slot-",
    );
    await other.destroy();
  });

  it("leave the kernel out of reach", async () => {
    expect(await shell("grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | cut -f2 | xargs")).toBe(
      "0000000000000000 0000000000000000 1 2",
    );
    expect(
      await shell(
        "find /proc/sys -writable -type f | wc -l; find /dev -type b | wc -l; find / -xdev -writable -maxdepth 1 2>/dev/null | sort | xargs",
      ),
    ).toBe("0\n0\n/home /memory /skills /tmp /workspace".replace("/home ", ""));
    expect(await shell("unshare -Ur true 2>&1 | grep -c -i 'not permitted'")).toBe("1");
    const probes = `
import ctypes, errno, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    return "refused" if libc.syscall(*arguments) == -1 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS) else "reached"
names = {"mount": 165, "bpf": 321, "ptrace": 101, "io_uring_setup": 425, "keyctl": 250, "open_by_handle_at": 304, "clone3": 435, "userfaultfd": 323, "setns": 308}
print([name for name, number in names.items() if call(number, 0, 0, 0, 0, 0) != "refused"])
for family in (17, 38, 40):
    try: socket.socket(family, socket.SOCK_DGRAM); print("family", family)
    except OSError: pass
`;
    expect(await python(process.arch === "x64" ? probes : "print([])")).toBe("[]");
  });

  it("keep the workload away from its supervisor", async () => {
    expect(
      await shell(
        "ls -l /proc/1/fd 2>&1 | grep -c socket; ls /proc/self/fd | xargs; kill -9 1; kill -9 -1; echo survived",
      ).catch(() => ""),
    ).not.toContain("cgroup");
    // What waited for the next command was the workload's to kill.
    expect(await shell("echo alive")).toBe("alive");
    expect(await shell("ls -l /proc/self/fd | grep -c -E 'socket|cgroup'")).toBe("0");
  });

  it("keep the supervisor's limits as they are", async () => {
    const own = await test.sandbox();
    const { exit } = await own.session.run({ command: "prlimit --pid 1 --nofile=3:3" });
    expect(exit).toEqual({ type: "exited", code: 1 });
    expect((await own.session.run({ command: "echo alive" })).stdout).toBe("alive\n");
    await own.destroy();
  });

  it("let a command start although an earlier one stops whatever it can", async () => {
    const own = await test.sandbox();
    await own.session.run({ command: "(sleep 0.2; kill -STOP -1) < /dev/null > /dev/null 2>&1 &" });
    await new Promise((resolve) => setTimeout(resolve, 400));
    const { stdout } = await own.session.run({ command: "echo alive", timeoutMs: 5_000 });
    expect(stdout).toBe("alive\n");
    await own.destroy();
  });

  it("leave the supervisor its threads, however many processes hold a pipe", async () => {
    const own = await test.sandbox({ resources: { ...resources, processes: 100 } });
    for (let number = 0; number < 98; number++) await own.session.run({ command: "sleep 300 &" });
    expect((await own.session.run({ command: "echo alive" })).stdout).toBe("alive\n");
    await own.destroy();
  });

  it("bound processes and memory", async () => {
    await shell("for i in $(seq 300); do sleep 2 & done 2>/dev/null; wait");
    expect(await shell("echo alive")).toBe("alive");
    const { exit } = await sandbox.session.run({ command: "python3 -c 'x = bytearray(1 << 30); print(len(x))'" });
    expect(exit).toEqual({ type: "signalled", signal: 9 });
    expect(await shell("echo alive")).toBe("alive");
  });
});

describe("what is missing", () => {
  it("is named by the doctor, with the remedy", async () => {
    const without = await diagnose({ searchPath: "/nowhere" });
    expect(without.find((finding) => finding.id === "bubblewrap")).toMatchObject({
      state: "missing",
      remedy: "Install it: apt-get install bubblewrap",
    });
    expect(without.find((finding) => finding.id === "namespaces")?.state).toBe("missing");
    const here = await diagnose();
    expect(here.filter((finding) => finding.state === "missing")).toEqual([]);
    expect(here.find((finding) => finding.id === "gvisor")).toMatchObject(
      findRunsc() === null
        ? { state: "degraded", remedy: expect.stringContaining("gvisor") }
        : { state: "ok", detail: expect.stringMatching(/runsc of 20\d{6}/) },
    );
  });

  it("stops the daemon from starting, with the remedy", async () => {
    const path = process.env["PATH"];
    process.env["PATH"] = "/nowhere";
    try {
      const start = startSandboxHost({ directory: `${test.directory}/second`, mode: "auto" });
      await expect(start).rejects.toMatchObject({
        name: "SandboxUnavailableError",
        remedy: "Install it: apt-get install bubblewrap",
      });
    } finally {
      process.env["PATH"] = path;
    }
    await expect(startSandboxHost({ directory: test.directory, mode: "weak" })).rejects.toThrow("already runs");
  });
});
