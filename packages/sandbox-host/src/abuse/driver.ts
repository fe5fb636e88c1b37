/**
 * A process that drives one attack, as a server drives a command: what it takes of memory and processor is not that of
 * whoever measures. `node driver.ts SOCKET SANDBOX …`, forked: it says `ready`, gets {@link DriverOrder}, answers
 * {@link DriverReport}.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { attacks, control } from "./attacks.ts";

export interface DriverOrder {
  readonly attack: string;
  readonly whole: boolean;
}

export interface DriverReport {
  /** What the attack saw in each sandbox, one after the other. */
  readonly seen: readonly string[];
  /** `performance.timeOrigin + performance.now()`, at the first attack's start and the last one's end. */
  readonly started: number;
  readonly ended: number;
  /** The most that this process had resident, beyond what it had after a small command. */
  readonly grownBytes: number;
}

/** Resident now, and the most since the count was set back. */
function resident(): { readonly now: number; readonly most: number } {
  const status = readFileSync("/proc/self/status", "utf8");
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  return { now: kilobytes("VmRSS") * 1024, most: kilobytes("VmHWM") * 1024 };
}

/** proc_pid_clear_refs(5). */
const forgetMost = "5";

async function drive({ attack: id, whole }: DriverOrder): Promise<DriverReport> {
  const [socketPath = "", ...sandboxIds] = process.argv.slice(2);
  const attack = [control, ...attacks].find((one) => one.id === id);
  if (attack === undefined) throw new Error(`there is no attack ${id}`);
  const provider = await createLocalProvider({ socketPath });
  const sandboxes = await Promise.all(sandboxIds.map((one) => provider.attach({ provider: provider.id, id: one })));
  for (const sandbox of sandboxes) await sandbox.session.run({ command: "echo ready" });
  writeFileSync("/proc/self/clear_refs", forgetMost);
  const before = resident().now;
  const now = (): number => performance.timeOrigin + performance.now();
  const started = now();
  const seen: string[] = [];
  for (const sandbox of sandboxes) seen.push(await attack.attempt(sandbox, whole));
  const ended = now();
  const grownBytes = resident().most - before;
  await provider.close();
  return { seen, started, ended, grownBytes };
}

process.once("message", (order: DriverOrder) => {
  void drive(order).then((report) => {
    process.send?.(report);
    process.disconnect();
  });
});
process.send?.("ready");
