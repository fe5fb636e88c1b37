/**
 * Keeps the embedded Postgres running as long as its launcher lives: killed at any moment, it is started again at the
 * same address, and whoever was connected connects anew.
 * @module
 */
import { isRunning, type ProcessIdentity, processStart } from "./process-identity.ts";
import { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from "./supervisor.ts";

export interface KeptPostgres {
  readonly url: string;
  /** Ends the keeping. Postgres stays for the next start. */
  stop(): Promise<void>;
}

export interface KeeperOptions extends EmbeddedPostgresOptions {
  /** Its port was taken by another program when it was started again: it has a new address. */
  readonly onMoved: (url: string) => void;
}

const lookIntervalMs = 500;

/** @throws StartupError when the first start fails; later ones are tried again until `stop`. */
export async function keepEmbeddedPostgres(options: KeeperOptions): Promise<KeptPostgres> {
  const first = await startEmbeddedPostgres(options);
  let { url } = first;
  let postmaster = identityOf(first);
  let restarting: Promise<void> | undefined;
  const restart = async (): Promise<void> => {
    options.log.error({ pid: postmaster.pid }, "the embedded Postgres ended unexpectedly and is started again");
    try {
      const next = await startEmbeddedPostgres(options);
      postmaster = identityOf(next);
      if (next.url !== url) options.onMoved(next.url);
      ({ url } = next);
    } catch (error) {
      options.log.error({ error }, "the embedded Postgres could not be started again");
    }
  };
  const timer = setInterval(() => {
    if (restarting !== undefined || isRunning(postmaster)) return;
    restarting = restart().finally(() => (restarting = undefined));
  }, lookIntervalMs);
  return {
    url,
    async stop() {
      clearInterval(timer);
      await restarting;
    },
  };
}

function identityOf({ pid }: EmbeddedPostgres): ProcessIdentity {
  return { pid, start: processStart(pid) ?? "gone" };
}
