/** Cases about walls: what is inside does not see what is outside, and does not take more than it was given. @module */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SandboxGoneError } from "../../errors.ts";
import { claim, claimEqual, claimSoon, pause } from "../claims.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { fetched, noise, printed, readText, startedCommand } from "../steps.ts";

/** Variables that a sandbox has of its own under the same name and perhaps with the same value. */
const ordinary = new Set([
  "PATH",
  "HOME",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "TERM",
  "USER",
  "LOGNAME",
  "SHELL",
  "PWD",
  "SHLVL",
  "_",
  "TZ",
]);

const isolationCases: readonly ConformanceCase[] = [
  {
    id: "isolation.links-stay-inside",
    level: "MUST",
    capability: null,
    sentence: "No file verb follows a link out of the sandbox to a file of the host.",
    async run(context) {
      const host = mkdtempSync(join(tmpdir(), "conformance-"));
      try {
        const secret = join(host, "secret");
        writeFileSync(secret, "of the host", { mode: 0o644 });
        const sandbox = await context.awake();
        await printed(sandbox, `ln -s ${secret} link; ln -s ${host} directory`);
        for (const path of ["/workspace/link", "/workspace/directory/secret"]) {
          claim((await readText(sandbox, path).catch(() => null)) !== "of the host", "a file of the host was read");
          const [file] = await fetched(sandbox, [path]);
          claim(!Buffer.from(file?.bytes ?? []).includes("of the host"), "a file of the host was fetched");
        }
        claimEqual(
          await sandbox.session.listDirectory({ path: "/workspace/directory" }).catch(() => null),
          null,
          "list",
        );
      } finally {
        rmSync(host, { recursive: true, force: true });
      }
    },
  },
  {
    id: "isolation.no-host-environment",
    level: "MUST",
    capability: "isolation",
    sentence: "Nothing of the host's environment is inside, not in the first process either (secrets).",
    async run(context) {
      const sandbox = await context.awake();
      const command = "env; cat /proc/1/environ /proc/self/environ 2>/dev/null; test -r /proc/self/environ";
      const seen = (await printed(sandbox, command)).split(/[\n\0]/);
      const leaked = Object.entries(process.env).filter(
        ([name, value]) => !ordinary.has(name) && seen.includes(`${name}=${value}`),
      );
      claimEqual(
        leaked.map(([name]) => name),
        [],
        "variables of the host",
      );
    },
  },
  {
    id: "isolation.no-network",
    level: "MUST",
    capability: "noNetwork",
    sentence: "Where no network is declared, there is the loopback interface and no other (egress).",
    async run(context) {
      const table = await printed(await context.awake(), "cat /proc/net/dev");
      const names = [...table.matchAll(/^\s*([^\s:|]+):/gm)].map(([, name]) => name);
      claimEqual(
        names.filter((name) => name !== "lo"),
        [],
        "interfaces",
      );
    },
  },
  {
    id: "isolation.no-capabilities",
    level: "MUST",
    capability: "isolation",
    sentence: "A command has no Linux capability and cannot gain one.",
    async run(context) {
      const status = await printed(await context.awake(), "cat /proc/self/status");
      const sets = [...status.matchAll(/^Cap(?:Inh|Prm|Eff|Amb):\s*([0-9a-f]+)$/gm)].map(([, set]) => set);
      claim(sets.length > 0, "the sets of capabilities are told");
      claim(
        sets.every((set) => /^0+$/.test(set ?? "")),
        `capabilities: ${sets.join(" ")}`,
      );
    },
  },
  {
    id: "isolation.own-processes",
    level: "MUST",
    capability: "isolation",
    sentence: "A command sees no process of the host or of another sandbox.",
    async run(context) {
      const [one, other] = [await context.awake(), await context.awake()];
      await one.session.spawn({ command: "sleep 31337" });
      const seen = await printed(other, "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '");
      claim(seen.length > 0 && !seen.includes("31337"), "it sees its own and not the neighbour's");
    },
  },
  {
    id: "isolation.entropy",
    level: "MUST",
    capability: "entropy",
    sentence: "Two sandboxes draw different random numbers.",
    async run(context) {
      const command = "head -c 16 /dev/urandom | od -An -tx1";
      const drawn = [await printed(await context.awake(), command), await printed(await context.awake(), command)];
      claim(drawn[0] !== drawn[1] && drawn[0]?.trim() !== "", "they are equal");
    },
  },
  {
    id: "isolation.own-user-id",
    level: "MUST",
    capability: "ownUserId",
    sentence: "A command does not run as root, unless the kernel that says so is the sandbox's own.",
    async run(context) {
      const sandbox = await context.awake();
      if (["userspace-kernel", "virtual-machine"].includes(context.provider.capabilities.isolation)) return;
      claim((await printed(sandbox, "id -u")).trim() !== "0", "it is root");
    },
  },
];

const limitCases: readonly ConformanceCase[] = [
  {
    id: "limits.memory",
    level: "MUST",
    capability: "memoryLimit",
    harmfulWithout: true,
    sentence: "A command that takes more memory than there is ends badly, and the sandbox works on or is gone.",
    async run(context) {
      const sandbox = await context.awake({ resources: { ...context.request().resources, memoryBytes: 96 << 20 } });
      await printed(sandbox, "head -c 4000000 /dev/zero | tail > /dev/null");
      try {
        const { exit } = await sandbox.session.run({
          command: "head -c 400000000 /dev/zero | tail",
          timeoutMs: 15_000,
        });
        claim(exit.type !== "exited" || exit.code !== 0, "400 MB were held in 96 MB");
        claim(exit.type !== "timed_out", "it did not end within 15 s");
        claimEqual(await printed(sandbox, "echo works"), "works\n", "the next command");
      } catch (error) {
        if (!(error instanceof SandboxGoneError)) throw error;
      }
    },
  },
  {
    id: "limits.processes",
    level: "MUST",
    capability: "processLimit",
    harmfulWithout: true,
    sentence: "No more processes than allowed are there, and the sandbox can still be used and destroyed.",
    async run(context) {
      const sandbox = await context.awake({ resources: { ...context.request().resources, processes: 24 } });
      await startedCommand(sandbox, { command: "echo on; for i in $(seq 100); do sleep 30 & done" });
      await claimSoon(async () => (await sandbox.session.listProcesses()).length > 5, "processes are started");
      await pause(500);
      const { length } = await sandbox.session.listProcesses();
      claim(length <= 24, `${length} processes of at most 24`);
      await sandbox.destroy();
    },
  },
  {
    id: "limits.cpu",
    level: "MUST",
    capability: "cpuLimit",
    sentence: "A command that only computes gets no more of the processors than allowed.",
    async run(context) {
      const sandbox = await context.awake({ resources: { ...context.request().resources, cpus: 0.2 } });
      const output = await printed(sandbox, "timeout 2 bash -c 'while :; do :; done'; times");
      const [, minutes = "", seconds = ""] = /\n(\d+)m([\d.]+)s/.exec(output) ?? [];
      const used = Number(minutes) * 60 + Number(seconds);
      claim(seconds !== "" && used < 1.2, `it used ${used} s of 2 s on 0.2 processors`);
    },
  },
  {
    id: "limits.disk",
    level: "MUST",
    capability: "diskLimit",
    sentence: "A workspace does not grow far beyond its limit: the writer is refused or killed.",
    async run(context) {
      const sandbox = await context.awake({ resources: { ...context.request().resources, diskBytes: 16 << 20 } });
      await sandbox.session.writeBinaryFile({ path: "/workspace/a", content: noise(5 << 20) });
      const command = "cat a a a a a a > b && cat b b > c && sleep 4 && echo survived";
      const outcome = await sandbox.session.run({ command }).catch((error: unknown) => {
        if (error instanceof SandboxGoneError) return null;
        throw error;
      });
      claim(outcome === null || !outcome.stdout.includes("survived"), "95 MB were written into 16 MB");
    },
  },
];

const portCases: readonly ConformanceCase[] = [
  {
    id: "ports.connect",
    level: "MUST",
    capability: "ports",
    sentence: "A port that is listened on is connected to, both ways, by several at once.",
    async run(context) {
      const sandbox = await context.awake();
      const script = "require('net').createServer(s=>s.pipe(s)).listen(8123,'127.0.0.1',()=>console.log('up'))";
      const server = await sandbox.session.spawn({ command: `node -e "${script}"` });
      const first = await server.output[Symbol.asyncIterator]().next();
      claim(first.done !== true, "the server inside does not start");
      const echo = async (word: string): Promise<string> => {
        const connection = await sandbox.session.connectPort({ port: 8123 });
        claim(connection !== null, "nobody listens");
        const sending = (async () => {
          const writer = connection.writable.getWriter();
          await writer.write(Buffer.from(word));
          await writer.close();
        })();
        const parts: Uint8Array[] = [];
        for await (const part of connection.readable) parts.push(part.slice());
        await sending;
        return Buffer.concat(parts).toString();
      };
      claimEqual(await Promise.all([echo("one"), echo("two".repeat(50_000))]), ["one", "two".repeat(50_000)], "echoes");
      await server.kill();
    },
  },
  {
    id: "ports.nobody",
    level: "MUST",
    capability: "ports",
    sentence: "Where nobody listens the answer is null.",
    async run(context) {
      claimEqual(await (await context.awake()).session.connectPort({ port: 8124 }), null, "connection");
    },
  },
];

const poolCases: readonly ConformanceCase[] = [
  {
    id: "pool.not-told",
    level: "MUST",
    capability: null,
    sentence: "Keeping sandboxes ready adds none to the list, with or without a pool.",
    async run({ provider, request, issued }) {
      const before = (await provider.list()).map(({ id }) => id);
      const { resources, environment } = request();
      await provider.keepWarm({ count: 1, resources, environment });
      const added = (await provider.list()).map(({ id }) => id).filter((id) => !before.includes(id) && !issued.has(id));
      await provider.keepWarm({ count: 0, resources, environment });
      claimEqual(added, [], "sandboxes of nobody");
    },
  },
  {
    id: "pool.create",
    level: "MUST",
    capability: null,
    sentence:
      "A sandbox from the pool is as any other: suspended, with the owner, environment and identifier asked for.",
    async run(context) {
      const request = context.request({ environment: { WARM: "yes" }, owner: "pool_user" });
      const { resources, environment } = request;
      await context.provider.keepWarm({ count: 1, resources, environment });
      await pause(1500);
      const sandbox = await context.create(request);
      const status = await sandbox.status();
      claimEqual([status.id, status.owner, status.state], [request.id, "pool_user", "suspended"], "status");
      await sandbox.resume();
      claimEqual(await printed(sandbox, "echo $WARM"), "yes\n", "environment");
      const cold = await context.create({ environment: { WARM: "no" } });
      await cold.resume();
      claimEqual(await printed(cold, "echo $WARM"), "no\n", "environment of another");
      await context.provider.keepWarm({ count: 0, resources, environment });
    },
  },
];

export const wallCases = [...isolationCases, ...limitCases, ...portCases, ...poolCases];
