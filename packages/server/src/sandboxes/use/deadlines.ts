/**
 * A sandbox that does not answer is a lost one: it is destroyed, and its caller told that it is gone. Everything that
 * uses a sandbox then goes on as after any other loss.
 * @module
 */
import type { SandboxSession } from "@exoloop/sandbox/session";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import type { Logger } from "../../telemetry/logger.ts";

/** Milliseconds. */
export interface Deadlines {
  /** Thaw, freeze, status, and the acknowledgement of a command. */
  readonly answerMs: number;
  /** One file operation, or the next piece of a longer one. */
  readonly fileMs: number;
  /** One operation that takes as long as what it writes. */
  readonly transferMs: number;
  /** What is given to answers that have arrived while this process itself stood still. */
  readonly graceMs: number;
}

const standardDeadlines: Deadlines = { answerMs: 30_000, fileMs: 60_000, transferMs: 600_000, graceMs: 2_000 };

type Within = <Result>(milliseconds: number, what: string, work: Promise<Result>) => Promise<Result>;

export function withDeadlines(
  sandbox: Sandbox,
  log: Pick<Logger, "warn">,
  deadlines: Deadlines = standardDeadlines,
): Sandbox {
  const { id } = sandbox.reference;
  const giveUp = (what: string, milliseconds: number) => {
    log.warn({ sandbox: id, what, milliseconds }, "sandbox does not answer and is destroyed");
    // Not awaited: what does not answer may not answer this either; the reconciler tries again.
    sandbox.destroy().catch((error: unknown) => log.warn({ sandbox: id, error }, "sandbox not destroyed"));
    return new SandboxGoneError(id, `${what} was not answered within ${milliseconds} ms`);
  };
  const within: Within = (milliseconds, what, work) =>
    new Promise((resolve, reject) => {
      let timer = setTimeout(() => {
        timer = setTimeout(() => reject(giveUp(what, milliseconds)), deadlines.graceMs);
      }, milliseconds);
      work.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  return {
    reference: sandbox.reference,
    session: boundSession(sandbox.session, within, deadlines),
    status: () => within(deadlines.answerMs, "status", sandbox.status()),
    suspend: () => within(deadlines.answerMs, "suspend", sandbox.suspend()),
    resume: () => within(deadlines.answerMs, "resume", sandbox.resume()),
    destroy: () => sandbox.destroy(),
  };
}

/** What streams is bounded by its pieces; what runs for as long as a command does, by whoever follows the command. */
function boundSession(session: SandboxSession, within: Within, deadlines: Deadlines): SandboxSession {
  const { answerMs, fileMs, transferMs } = deadlines;
  return {
    description: session.description,
    readFile: (options) => within(fileMs, "readFile", session.readFile(options)),
    readBinaryFile: (options) => within(fileMs, "readBinaryFile", session.readBinaryFile(options)),
    writeFile: (options) => within(transferMs, "writeFile", session.writeFile(options)),
    writeBinaryFile: (options) => within(fileMs, "writeBinaryFile", session.writeBinaryFile(options)),
    stat: (options) => within(fileMs, "stat", session.stat(options)),
    listDirectory: (options) => within(fileMs, "listDirectory", session.listDirectory(options)),
    listTree: (options) => within(fileMs, "listTree", session.listTree(options)),
    surveyTree: (options) => within(fileMs, "surveyTree", session.surveyTree(options)),
    inspectEntries: (options) => within(fileMs, "inspectEntries", session.inspectEntries(options)),
    scanTree: (options) => boundParts("scanTree", session.scanTree(options), within, fileMs),
    fetchFiles: (options) => boundParts("fetchFiles", session.fetchFiles(options), within, fileMs),
    placeEntries: (options) => within(transferMs, "placeEntries", session.placeEntries(options)),
    deleteFile: (options) => within(fileMs, "deleteFile", session.deleteFile(options)),
    spawn: (options) => within(answerMs, "spawn", session.spawn(options)),
    attachCommand: (options) => within(answerMs, "attachCommand", session.attachCommand(options)),
    listCommands: () => within(answerMs, "listCommands", session.listCommands()),
    listProcesses: () => within(answerMs, "listProcesses", session.listProcesses()),
    run: (options) => session.run(options),
    connectPort: (options) => within(answerMs, "connectPort", session.connectPort(options)),
  };
}

async function* boundParts<Part>(
  what: string,
  parts: AsyncIterable<Part>,
  within: Within,
  milliseconds: number,
): AsyncGenerator<Part> {
  const iterator = parts[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await within(milliseconds, what, iterator.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: it would wait for a piece that does not come.
    iterator.return?.().catch(() => undefined);
  }
}
