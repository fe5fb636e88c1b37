/** Looks for due runs: at the next instant, and every five seconds at the least, in one transaction. @module */
import { type DueRunsDependencies, readNextDue, takeDueRuns } from "./due-runs.ts";

export interface DeploymentWatch {
  /** Waits for the look that is under way. */
  stop(): Promise<void>;
}

/** Another process may bring an instant nearer; this is how late that is noticed. Milliseconds. */
const longestSleep = 5_000;

/** Every process may have one. */
export function startDeploymentWatch(dependencies: DueRunsDependencies): DeploymentWatch {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    let sleep = longestSleep;
    try {
      const next = await readNextDue(dependencies.database);
      const now = new Date();
      if (next.queued || (next.at !== null && next.at <= now)) await takeDueRuns(dependencies, now);
      else if (next.at !== null) sleep = Math.min(sleep, next.at.getTime() - now.getTime() + 1);
    } catch (error) {
      if (!stopped) dependencies.log.error({ error }, "due runs could not be looked for");
    }
    if (!stopped) timer = setTimeout(begin, sleep);
  };
  let looking = Promise.resolve();
  const begin = () => {
    looking = look();
  };
  begin();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await looking;
    },
  };
}
