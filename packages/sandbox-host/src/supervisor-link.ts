/** The daemon's own connection to a supervisor. Its end is the sandbox's end. @module */
import { type FrameConnection, connectFrames } from "@exoloop/sandbox/providers/local/connection";
import { frameTypes } from "@exoloop/sandbox/providers/local/frames";

/** A supervisor that does not answer for so long is taken for dead. It is never stopped and does nothing slow here. */
const answerPatienceMs = 60_000;
/** What arrived while this process itself stood still is read before it is judged. */
const graceMs = 1_000;

/** Hangs up when no answer comes in time. The function ends the wait. */
function hangUpLate(connection: FrameConnection, patienceMs: number): () => void {
  let timer = setTimeout(() => {
    timer = setTimeout(() => connection.close(), graceMs);
  }, patienceMs);
  return () => clearTimeout(timer);
}

export interface SupervisorLink {
  readonly closed: boolean;
  onClose(listener: () => void): void;
  status(): Promise<{ readonly suspended: boolean; readonly running: readonly string[] }>;
  /** Only where no cgroup can stop the workload. */
  suspend(): Promise<void>;
  resume(): Promise<void>;
  /** Kills everything below the supervisor, and the supervisor. */
  shutdown(): Promise<void>;
  close(): void;
}

/** @throws when nobody listens there or no hello comes. */
export async function connectSupervisor(socketPath: string, patienceMs = answerPatienceMs): Promise<FrameConnection> {
  const connection = await connectFrames(socketPath);
  const answered = hangUpLate(connection, patienceMs);
  const hello = await connection.read();
  answered();
  if (hello?.type === frameTypes.hello) return connection;
  connection.close();
  throw new Error("the supervisor did not say hello");
}

/** Of the answer to `commands`: u8 stopped by signals and two process ids, then for each a head and its identifier. */
const headBytes = 9;
const summaryBytes = 26;

/** The supervisor's words may be hostile: what does not fit is not there. */
function parseCommands(payload: Buffer): { readonly suspended: boolean; readonly running: readonly string[] } {
  const running: string[] = [];
  for (let at = headBytes; at + summaryBytes < payload.length;) {
    const end = payload.indexOf(0, at + summaryBytes);
    if (end < 0) break;
    const [maintenance, exit] = [payload[at], payload[at + 1]];
    if (maintenance === 0 && exit === 0) running.push(payload.toString("utf8", at + summaryBytes, end));
    at = end + 1;
  }
  return { suspended: payload[0] === 1, running };
}

export async function openSupervisorLink(socketPath: string, patienceMs?: number): Promise<SupervisorLink> {
  const connection = await connectSupervisor(socketPath, patienceMs);
  let last: Promise<unknown> = Promise.resolve();
  const exchange = async (type: number): Promise<Buffer> => {
    await connection.write(type);
    const answered = hangUpLate(connection, answerPatienceMs);
    const parts: Buffer[] = [];
    let frame = await connection.read();
    for (; frame?.type === frameTypes.data; frame = await connection.read()) parts.push(frame.payload);
    answered();
    if (frame === null) throw new Error("the supervisor does not answer");
    return Buffer.concat(parts);
  };
  const ask = (type: number): Promise<Buffer> => {
    const answer = last.then(() => exchange(type));
    last = answer.catch(() => {});
    return answer;
  };
  return {
    get closed() {
      return connection.closed;
    },
    onClose: (listener) => connection.onClose(listener),
    status: async () => parseCommands(await ask(frameTypes.commands)),
    suspend: async () => void (await ask(frameTypes.suspend)),
    resume: async () => void (await ask(frameTypes.resume)),
    shutdown: async () => void (await ask(frameTypes.shutdown).catch(() => {})),
    close: () => connection.close(),
  };
}
