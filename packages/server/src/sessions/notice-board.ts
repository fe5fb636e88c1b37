/**
 * The notice board over LISTEN and NOTIFY. Notices of one process leave in batches, on one connection, after the
 * commits they speak of. Every notice travels through Postgres, also to subscribers of the same process, so that all
 * see one order and none sees a notice twice.
 * @module
 */
import { randomUUID } from "node:crypto";
import { maximumPayloadBytes, type NotifyChannel, openNotifyChannel } from "../db/notify-channel.ts";
import type { Logger } from "../telemetry/logger.ts";
import { addToBatch, lookSequence, packBatch, unpackPayload } from "./notice-batch.ts";
import type { Notice, NoticeBoard } from "./notices.ts";

export interface NoticeBoardOptions {
  readonly connectionString: string;
  readonly log: Logger;
  /** The longest a notice waits for others, in milliseconds. */
  readonly batchMilliseconds?: number;
}

export interface ClosableNoticeBoard extends NoticeBoard {
  /** Sends what is queued and lets the connection go. */
  close(): Promise<void>;
}

/** Postgres cuts longer names silently. */
const channelName = "exoloop_notices";
const fullBatch = 32;
/** Beyond these many waiting notices, frames, and then all notices, are dropped. */
const maximumQueuedFrames = 5000;
const maximumQueued = 10_000;

/**
 * After a lost connection every subscriber gets an `appended` notice of seq 0: "look", something may have been missed.
 * @throws StartupError when the database cannot be reached.
 * @example
 *   const board = await createNoticeBoard({ connectionString, log });
 *   const unsubscribe = board.subscribe(sessionId, (notice) => { … });
 */
export async function createNoticeBoard(options: NoticeBoardOptions): Promise<ClosableNoticeBoard> {
  const { log } = options;
  const listeners = createListeners(log);
  const channel = await openNotifyChannel({
    connectionString: options.connectionString,
    channel: channelName,
    applicationName: "exoloop notices",
    log,
    onPayload: (payload) => {
      for (const notice of unpackPayload(payload)) listeners.deliver(notice);
    },
    onReconnected: () => {
      listeners.tellAllToLook();
      void outbox.flush();
    },
  });
  const outbox = createOutbox(channel, options.batchMilliseconds ?? 4, log);
  return {
    publish: outbox.add,
    subscribe: listeners.subscribe,
    async close() {
      await outbox.flush();
      // What was published during the last send.
      await outbox.flush();
      await channel.close();
    },
  };
}

/** Collects notices for a few milliseconds and sends them in order, one batch at a time. */
function createOutbox(channel: NotifyChannel, batchMilliseconds: number, log: Logger) {
  const origin = randomUUID().slice(0, 8);
  let counter = 0;
  let batch: Notice[] = [];
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> | undefined;
  const mark = () => `${origin}:${(counter += 1).toString(36)}`;

  const sendBatches = async (): Promise<void> => {
    while (batch.length > 0 && channel.connected) {
      const notices = batch;
      batch = [];
      const { payloads, refused } = packBatch(notices, maximumPayloadBytes, mark);
      if (refused.length > 0) log.warn({ count: refused.length }, "a notice is too long to be sent");
      if (payloads.length > 0 && !(await channel.send(payloads))) {
        // Perhaps sent, perhaps not: an `appended` notice may come twice, a piece of a message may not.
        batch = [...notices.filter((notice) => notice.type !== "frame"), ...batch];
        return;
      }
    }
  };
  const flush = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    flushing ??= sendBatches().finally(() => (flushing = undefined));
    return flushing;
  };
  const isFull = (notice: Notice): boolean =>
    batch.length >= (notice.type === "frame" ? maximumQueuedFrames : maximumQueued);
  return {
    flush,
    add(notice: Notice): void {
      // Only while the connection is down: everybody is told to look when it is back.
      if (isFull(notice)) return;
      addToBatch(batch, notice);
      if (batch.length >= fullBatch) void flush();
      else timer ??= setTimeout(() => void flush(), batchMilliseconds);
    },
  };
}

type Listener = (notice: Notice) => void;

function createListeners(log: Logger) {
  const bySession = new Map<string, Set<Listener>>();
  const deliver = (notice: Notice): void => {
    // A copy: a listener may end its own subscription, or begin another.
    for (const listener of Array.from(bySession.get(notice.sessionId) ?? [])) {
      try {
        listener(notice);
      } catch (error) {
        log.error({ error, session: notice.sessionId }, "a listener of notices failed");
      }
    }
  };
  return {
    deliver,
    tellAllToLook(): void {
      for (const sessionId of Array.from(bySession.keys())) deliver({ type: "appended", sessionId, seq: lookSequence });
    },
    subscribe(sessionId: string, listener: Listener): () => void {
      // Its own identity, so that one function may subscribe twice.
      const own: Listener = (notice) => listener(notice);
      const listeners = bySession.get(sessionId) ?? new Set();
      listeners.add(own);
      bySession.set(sessionId, listeners);
      return () => {
        listeners.delete(own);
        if (listeners.size === 0 && bySession.get(sessionId) === listeners) bySession.delete(sessionId);
      };
    },
  };
}
