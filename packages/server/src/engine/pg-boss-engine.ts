/**
 * The engine on pg-boss. A wake is a row written in the caller's transaction; after the commit this process fetches it
 * at once, or hints to the others when it has no free slot. Everything a crash or a broken connection may swallow is
 * found by one small query every two seconds: turns ready, wake-ups due, workers that have fallen silent.
 * @module
 */
import type { Transaction } from "kysely";
import { afterCommit, type Database } from "../db/database.ts";
import { type NotifyChannel, openNotifyChannel } from "../db/notify-channel.ts";
import type { Tables } from "../db/tables.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createDispatcher, type Dispatcher } from "./dispatcher.ts";
import type { Engine } from "./engine.ts";
import { createJobQueue, type JobQueue } from "./job-queue.ts";

export interface PgBossEngineOptions {
  readonly connectionString: string;
  /** Opened by `openDatabase`; transactions given to `wake` must be its own. */
  readonly database: Database;
  /** Turns at a time in this process; 0 for a process that only wakes. */
  readonly concurrency: number;
  readonly log: Logger;
  readonly timing?: Partial<EngineTiming>;
}

/** All in milliseconds. */
export interface EngineTiming {
  /** Between two looks at the queue: the latency when a hint is lost. */
  readonly look: number;
  /** Between two signs of life of the running turns. */
  readonly beat: number;
  /** Silence after which a turn is given to another worker. A claim's epoch keeps a worker that only stalled harmless. */
  readonly lost: number;
}

const defaultTiming: EngineTiming = { look: 2000, beat: 1500, lost: 6000 };
const hintChannel = "exoloop_turns";

export function createPgBossEngine(options: PgBossEngineOptions): Engine {
  const { log } = options;
  const timing = { ...defaultTiming, ...options.timing };
  const queue = createJobQueue(options);
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
      channel = await openNotifyChannel({
        connectionString: options.connectionString,
        channel: hintChannel,
        applicationName: "exoloop turns",
        log,
        onPayload: () => void own.fetch(),
        onReconnected: () => void own.fetch(),
      });
      watch = startWatch({ queue, dispatcher: own, wake, timing, log, idle: options.concurrency === 0 });
    },
    wake,
    async wakeAt(sessionId, at, transaction) {
      await queue.sendWake(sessionId, at, transaction);
      const delay = at.getTime() - Date.now();
      // The regular look finds the later ones, and all of them when this process is gone by then.
      if (delay < timing.look) await afterCommit(transaction, () => watch?.takeWakesIn(delay));
    },
    async stop(graceMs) {
      watch?.stop();
      await dispatcher?.drain(graceMs);
      await channel?.close();
      await queue.stop();
    },
  };
}

/** Fetches here when there is a free slot, and else asks the other processes; at most one such call every 4 ms. */
function createHint(dispatcher: () => Dispatcher | undefined, channel: () => NotifyChannel | undefined): () => void {
  let pending: NodeJS.Timeout | undefined;
  return () => {
    const own = dispatcher();
    if (own !== undefined && own.freeSlots() > 0) void own.fetch();
    else {
      pending ??= setTimeout(() => {
        pending = undefined;
        void channel()?.send([""]);
      }, 4);
    }
  };
}

interface WatchOptions {
  readonly queue: JobQueue;
  readonly dispatcher: Dispatcher;
  readonly wake: Engine["wake"];
  readonly timing: EngineTiming;
  readonly log: Logger;
  /** Leaves the looking to processes that take turns. */
  readonly idle: boolean;
}

interface Watch {
  /** Takes wake-ups that are due by then without waiting for the regular look. */
  takeWakesIn(milliseconds: number): void;
  stop(): void;
}

function startWatch(options: WatchOptions): Watch {
  const { queue, dispatcher, wake, timing, log } = options;
  let stopped = options.idle;
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    let next = timing.look;
    try {
      const outlook = await queue.look(timing.lost, timing.look);
      if (outlook.lost.length > 0) {
        log.warn({ turns: outlook.lost.length }, "a worker has fallen silent; its turns are handed out again");
        await queue.giveBack(outlook.lost, "the worker has fallen silent");
      }
      if (outlook.wakeDueIn !== null && outlook.wakeDueIn <= 0) await takeDueWakes();
      else if (outlook.wakeDueIn !== null) next = Math.min(next, outlook.wakeDueIn + 1);
      if (outlook.turnsReady && dispatcher.freeSlots() > 0) await dispatcher.fetch();
    } catch (error) {
      if (!stopped) log.warn({ error }, "the queue could not be looked at");
    }
    if (!stopped) timer = setTimeout(() => void look(), next);
  };
  /** A wake-up only wakes: under the session's row lock, like every wake. */
  const takeDueWakes = async (): Promise<void> => {
    let taken = 0;
    while (
      !stopped &&
      taken < 1000 &&
      (await queue.takeWake(async (sessionId, transaction) => {
        const session = await transaction
          .selectFrom("sessions")
          .select("id")
          .where("id", "=", sessionId)
          .forUpdate()
          .executeTakeFirst();
        if (session !== undefined) await wake(sessionId, transaction);
      }))
    ) {
      taken += 1;
    }
  };
  if (!stopped) void look();
  const beats = setInterval(() => void dispatcher.beat(), timing.beat);
  return {
    takeWakesIn(milliseconds) {
      const take = () => takeDueWakes().catch((error: unknown) => log.warn({ error }, "no wake-up could be taken"));
      setTimeout(() => void take(), Math.max(0, milliseconds) + 1).unref();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      clearInterval(beats);
    },
  };
}
