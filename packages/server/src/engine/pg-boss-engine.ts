/**
 * The engine on pg-boss. A wake is a row written in the caller's transaction; after the commit this process fetches it
 * at once, or hints to the others when it has no free slot. Everything a crash or a broken connection may swallow is
 * found by one small query about every second: turns ready, wake-ups due, workers that have fallen silent.
 * @module
 */
import type { Transaction } from "kysely";
import { afterCommit, type Database } from "../db/database.ts";
import { type NotifyChannel, openNotifyChannel } from "../db/notify-channel.ts";
import type { Tables } from "../db/tables.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createDispatcher, type Dispatcher } from "./dispatcher.ts";
import type { Engine } from "./engine.ts";
import { createJobQueue } from "./job-queue.ts";
import { createPeriodicLooks } from "./periodic.ts";
import { type EngineTiming, startWatch, timingOf, type Watch } from "./watch.ts";

export interface PgBossEngineOptions {
  readonly connectionString: string;
  /** Opened by `openDatabase`; transactions given to `wake` must be its own. */
  readonly database: Database;
  /** Turns at a time in this process; 0 for a process that only wakes. */
  readonly concurrency: number;
  readonly log: Logger;
  /** Silence, in milliseconds, after which a worker is taken for dead. Default 3,000. */
  readonly workerTimeout?: number;
  /** In place of what follows from the timeout. */
  readonly timing?: Partial<EngineTiming>;
}

const defaultWorkerTimeout = 3000;

export function createPgBossEngine(options: PgBossEngineOptions): Engine {
  const { log } = options;
  const timing = { ...timingOf(options.workerTimeout ?? defaultWorkerTimeout), ...options.timing };
  const queue = createJobQueue(options);
  const periodic = createPeriodicLooks({ ...options, leaseMilliseconds: timing.lost });
  let dispatcher: Dispatcher | undefined;
  let channel: NotifyChannel | undefined;
  let watch: Watch | undefined;

  const hint = createHint(
    () => dispatcher,
    () => channel,
  );
  const wake = async (sessionId: string, transaction: Transaction<Tables>): Promise<void> => {
    await queue.sendTurn(sessionId, transaction);
    // Also when a turn was already queued: its own hint may have been lost.
    await afterCommit(transaction, hint);
  };
  return {
    async start(onTurn) {
      if (dispatcher !== undefined) throw new Error("the engine has been started before");
      const own = createDispatcher(queue, onTurn, options);
      dispatcher = own;
      await queue.start();
      await periodic.prepare();
      channel = await openHintChannel(options, own);
      watch = startWatch({
        queue,
        dispatcher: own,
        periodic,
        wake,
        hint,
        timing,
        log,
        idle: options.concurrency === 0,
      });
    },
    wake,
    async wakeAt(sessionId, at, transaction) {
      await queue.sendWake(sessionId, at, transaction);
      const delay = at.getTime() - Date.now();
      // The regular look finds the later ones, and all of them when this process is gone by then.
      if (delay < timing.look) await afterCommit(transaction, () => watch?.takeWakesIn(delay));
    },
    every(name, milliseconds, work) {
      if (dispatcher !== undefined) throw new Error(`the periodic work ${name} comes after the engine's start`);
      periodic.add(name, milliseconds, work);
    },
    async stop(graceMs) {
      watch?.stop();
      await Promise.all([periodic.stop(graceMs), dispatcher?.drain(graceMs)]);
      await channel?.close();
      await queue.stop();
    },
  };
}

function openHintChannel(
  { connectionString, log }: PgBossEngineOptions,
  dispatcher: Dispatcher,
): Promise<NotifyChannel> {
  const fetch = () => void dispatcher.fetch();
  return openNotifyChannel({
    connectionString,
    channel: "exoloop_turns",
    applicationName: "exoloop turns",
    log,
    onPayload: fetch,
    onReconnected: fetch,
  });
}

/** Fetches here while there are free slots, and else asks the other processes; at most one such call every 4 ms. */
function createHint(dispatcher: () => Dispatcher | undefined, channel: () => NotifyChannel | undefined): () => void {
  let pending: NodeJS.Timeout | undefined;
  const askOthers = () => {
    pending ??= setTimeout(() => {
      pending = undefined;
      void channel()?.send([""]);
    }, 4);
  };
  return () => {
    const own = dispatcher();
    if (own === undefined || own.freeSlots() === 0) askOthers();
    // With the last slot taken there may be more than this process can do.
    else void own.fetch().then(() => (own.freeSlots() === 0 ? askOthers() : undefined));
  };
}
