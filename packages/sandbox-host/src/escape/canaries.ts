/** What is outside of every sandbox, made so that reaching it can be told: a flag, sockets, a process with a secret. @module */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { type Server, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Given to the probe program as `name=value`. */
export type Facts = Readonly<Record<string, string>>;

export interface Canaries {
  /** Everybody may enter it: what keeps a sandbox away is its own walls. */
  readonly directory: string;
  readonly flagPath: string;
  readonly flagContent: string;
  readonly facts: Facts;
  close(): void;
}

const namespaces = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];
const lifeSeconds = 600;

function listen(server: Server, where: string | { readonly host: string }): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const done = (): void => resolve(server);
    if (typeof where === "string") server.listen(where, done);
    else server.listen(0, where.host, done);
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the canary has no port");
  return address.port;
}

const answerNobody = (): Server => createServer((connection) => connection.destroy());

export async function openCanaries(): Promise<Canaries> {
  const mark = randomBytes(8).toString("hex");
  const directory = mkdtempSync(join(tmpdir(), "exoloop-escape-"));
  chmodSync(directory, 0o755);
  const flagPath = join(directory, `exoloop-flag-${mark}`);
  const flagContent = `flag-${randomBytes(8).toString("hex")}`;
  writeFileSync(flagPath, flagContent, { mode: 0o644 });
  const sharedMemory = `/dev/shm/exoloop-canary-${mark}`;
  writeFileSync(sharedMemory, "", { mode: 0o644 });
  const socketPath = join(directory, "named.sock");
  const abstract = `exoloop-canary-${mark}`;
  const servers = await Promise.all([
    listen(answerNobody(), { host: "127.0.0.1" }),
    listen(answerNobody(), socketPath),
    listen(answerNobody(), `\0${abstract}`),
  ]);
  chmodSync(socketPath, 0o777);
  const marker = `exoloop-marker-${mark}`;
  const secret = `EXOLOOP_CANARY=${randomBytes(16).toString("hex")}`;
  const [name = "", value = ""] = secret.split("=");
  const child = spawn("sleep", [String(lifeSeconds)], { argv0: marker, env: { [name]: value }, stdio: "ignore" });
  await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject));
  const own = Object.fromEntries(
    namespaces.map((each) => [`namespace-${each}`, readlinkSync(`/proc/self/ns/${each}`)]),
  );
  return {
    directory,
    flagPath,
    flagContent,
    facts: {
      ...own,
      ...{ flag: flagPath, socket: socketPath, abstract, "shared-memory": sharedMemory },
      ...{ port: String(portOf(servers[0])), process: String(child.pid), secret },
      "marker-backwards": marker.split("").reverse().join(""),
    },
    close() {
      child.kill("SIGKILL");
      for (const server of servers) server.close();
      rmSync(sharedMemory, { force: true });
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
