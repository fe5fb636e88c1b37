/** Workers of a bench as child processes: started, asked for their memory, stopped. @module */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What a worker's process holds after garbage was collected, in bytes. */
export interface Memory {
  readonly heap: number;
  readonly resident: number;
}

export interface Worker {
  readonly pid: number;
  memory(): Promise<Memory>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Lets it end what it does; kills it when that takes more than 10 s. */
  stop(): Promise<void>;
}

/** Starts `program` and waits until it says that it is ready. */
export async function startWorker(program: URL, ...parameters: string[]): Promise<Worker> {
  // DBOS uses what pg warns of.
  const execArgv = ["--no-deprecation"];
  const child = fork(program, parameters, { stdio: ["ignore", "inherit", "inherit", "ipc"], execArgv });
  await answer(child, "ready");
  const { pid } = child;
  if (pid === undefined) throw new Error("a worker has no process");
  return {
    pid,
    async memory() {
      child.send("memory");
      const { heap, resident } = await answer(child, "memory");
      return { heap: Number(heap), resident: Number(resident) };
    },
    async kill() {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
      child.send("stop");
      await once(child, "exit");
      clearTimeout(late);
    },
  };
}

type Message = Readonly<Record<string, unknown>>;

async function answer(child: ChildProcess, type: string): Promise<Message> {
  const gone = new AbortController();
  const exited = once(child, "exit", { signal: gone.signal }).then(() => {
    throw new Error(`a worker ended before it answered "${type}"`);
  });
  exited.catch(() => undefined);
  try {
    for (;;) {
      const [message] = (await Promise.race([once(child, "message", { signal: gone.signal }), exited])) as [Message];
      if (message["type"] === type) return message;
    }
  } finally {
    gone.abort();
  }
}

/** In the worker: tells the parent that all is ready, answers it, and ends when it says so or is gone. */
export function serveParent(stop: () => Promise<void>): void {
  const end = () => void stop().finally(() => process.exit(0));
  process.on("disconnect", end);
  process.on("message", (message) => {
    if (message === "stop") end();
    if (message === "memory") {
      collectGarbage();
      const { heapUsed, external, rss } = process.memoryUsage();
      process.send?.({ type: "memory", heap: heapUsed + external, resident: rss });
    }
  });
  process.send?.({ type: "ready" });
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") for (let round = 0; round < 3; round += 1) (collect as () => void)();
}
