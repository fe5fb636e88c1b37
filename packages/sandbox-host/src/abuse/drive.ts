/** Starts the process that drives an attack. @module */
import { fork } from "node:child_process";
import { join } from "node:path";
import type { DriverOrder, DriverReport } from "./driver.ts";

export interface Driver {
  /** Once. */
  attack(order: DriverOrder): Promise<DriverReport>;
}

/** Resolves when it has started: what a start costs is no part of the attack. @throws Error when it dies */
export async function startDriver(socketPath: string, sandboxIds: readonly string[]): Promise<Driver> {
  const child = fork(join(import.meta.dirname, "driver.ts"), [socketPath, ...sandboxIds], { execArgv: [] });
  const next = <T>(): Promise<T> =>
    new Promise((resolve, reject) => {
      child.once("message", (message: unknown) => resolve(message as T));
      child.once("exit", (code) => reject(new Error(`the attack's driver ended with ${code}`)));
    });
  await next();
  return {
    attack(order) {
      const report = next<DriverReport>();
      child.send(order);
      return report;
    },
  };
}
