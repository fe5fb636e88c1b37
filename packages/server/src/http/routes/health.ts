/** /health: the process answers. /ready: it can also do its work. Neither needs a key. @module */
import type { App } from "../route.ts";

export interface HealthPort {
  /** Rejects, or is late, when the database does not answer. */
  ready(): Promise<void>;
}

const patienceMilliseconds = 2_000;

async function isReady(health: HealthPort): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), patienceMilliseconds);
  try {
    return await Promise.race([late, health.ready().then(() => true)]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

export function addHealthRoutes(app: App, health: HealthPort): void {
  app.get("/health", (c) => c.json({ status: "alive" }));
  app.get("/ready", async (c) =>
    (await isReady(health)) ? c.json({ status: "ready" }) : c.json({ status: "unavailable", reason: "database" }, 503),
  );
}
