/**
 * One Postgres channel on one connection of its own: LISTEN and NOTIFY. NOTIFY takes a lock that all notifying commits
 * share, so it never rides in a transaction that writes rows; it is sent here, by itself, after the commit.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Client, escapeIdentifier } from "pg";
import type { Logger } from "../telemetry/logger.ts";
import { unreachable } from "./database.ts";

/** Postgres refuses payloads of 8,000 bytes and more. */
export const maximumPayloadBytes = 7999;

export interface NotifyChannel {
  /** Sends the payloads in order, in one statement. False when the connection was down: nothing was sent. */
  send(payloads: readonly string[]): Promise<boolean>;
  readonly connected: boolean;
  close(): Promise<void>;
}

export interface NotifyChannelOptions {
  readonly connectionString: string;
  /** Its name; all processes of a server use the same. */
  readonly channel: string;
  readonly applicationName: string;
  readonly log: Logger;
  /** Called for every payload, also for one's own. */
  readonly onPayload: (payload: string) => void;
  /** Called when the connection is back: whatever was sent meanwhile is lost. */
  readonly onReconnected: () => void;
}

const probeEveryMilliseconds = 15_000;
const slowestRetryMilliseconds = 5000;

/** @throws StartupError when the database cannot be reached now; later losses are mended in the background. */
export async function openNotifyChannel(options: NotifyChannelOptions): Promise<NotifyChannel> {
  let client: Client | null = null;
  let closed = false;

  const connect = async (): Promise<void> => {
    const opened = await openListener(options);
    if (closed) {
      abandon(opened);
      return;
    }
    client = opened;
    opened.once("end", () => {
      client = null;
      if (!closed) void reconnect();
    });
  };
  const reconnect = async (): Promise<void> => {
    options.log.warn({ channel: options.channel }, "the notify connection broke");
    for (let wait = 50; !closed; wait = Math.min(wait * 2, slowestRetryMilliseconds)) {
      await sleep(wait / 2 + (Math.random() * wait) / 2);
      try {
        await connect();
        if (client !== null) options.onReconnected();
        return;
      } catch {
        // Tried again; the first loss has been logged.
      }
    }
  };
  try {
    await connect();
  } catch (error) {
    throw unreachable(options.connectionString, error);
  }
  const query = oneAtATime(() => client);
  const probe = setInterval(() => void query("select 1", []), probeEveryMilliseconds);
  probe.unref();
  return {
    get connected() {
      return client !== null;
    },
    send: (payloads) =>
      query(
        "select pg_notify($1, payload) from unnest($2::text[]) with ordinality as batch(payload, position) order by position",
        [options.channel, payloads],
      ),
    async close() {
      closed = true;
      clearInterval(probe);
      // Behind what is being sent.
      await query("select 1", []);
      const current = client;
      client = null;
      await current?.end().catch(() => undefined);
    },
  };
}

/** Queries in order, on whatever connection there is then; false when there is none or the query failed. */
function oneAtATime(connection: () => Client | null): (text: string, values: unknown[]) => Promise<boolean> {
  let last: Promise<boolean> = Promise.resolve(true);
  return (text, values) => {
    last = last.then(async () => {
      const current = connection();
      if (current === null) return false;
      try {
        await current.query(text, values);
        return true;
      } catch {
        // A query that fails or hangs means that the connection cannot be relied on.
        abandon(current);
        return false;
      }
    });
    return last;
  };
}

async function openListener(options: NotifyChannelOptions): Promise<Client> {
  const opened = new Client({
    connectionString: options.connectionString,
    application_name: options.applicationName,
    connectionTimeoutMillis: 5000,
    query_timeout: 5000,
    keepAlive: true,
  });
  opened.on("error", () => undefined);
  opened.on("notification", (message) => {
    if (message.channel === options.channel) options.onPayload(message.payload ?? "");
  });
  try {
    await opened.connect();
    // A notice that is lost with the database costs latency only: no send waits for the disk.
    await opened.query("set synchronous_commit = off");
    await opened.query(`listen ${escapeIdentifier(options.channel)}`);
  } catch (error) {
    abandon(opened);
    throw error;
  }
  return opened;
}

function abandon(client: Client): void {
  client.end().catch(() => undefined);
}
