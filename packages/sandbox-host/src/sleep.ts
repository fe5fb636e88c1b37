/**
 * How a sandbox sleeps: stopped by the kernel, beside its supervisor. Where the supervisor shares its processes with the
 * workload, it stops the workload by signals; then all of it is stopped, and is there again, the workload standing still,
 * for whoever asks for it.
 * @module
 */
import { freeze, thaw } from "./cgroups.ts";
import type { Slot } from "./slot.ts";

/** How long a supervisor that sleeps is there when it is asked for. */
export const servedMs = 500;

/** Its supervisor sleeps as well. */
export function sleepsWhole({ bySignals, state }: Slot): boolean {
  return bySignals && state.cgroups.kind !== "signal";
}

/** Its supervisor answers nobody, or only for a moment. */
export function isAsleep(slot: Slot): boolean {
  return sleepsWhole(slot) && !slot.awake;
}

export async function fallAsleep(slot: Slot): Promise<void> {
  const { cgroups } = slot.state;
  if (isAsleep(slot)) return;
  if (slot.bySignals) await slot.link.suspend();
  if (cgroups.kind !== "signal") await freeze(cgroups);
}

export async function wakeUp({ bySignals, link, state: { cgroups } }: Slot): Promise<void> {
  if (cgroups.kind !== "signal") thaw(cgroups);
  if (bySignals) await link.resume();
}

/** Its supervisor is there for a moment. */
export function attend(slot: Slot): void {
  const { cgroups } = slot.state;
  if (!isAsleep(slot)) return;
  thaw(cgroups);
  clearTimeout(slot.attended);
  const rest = async (): Promise<void> => (isAsleep(slot) && !slot.link.closed ? freeze(cgroups) : undefined);
  slot.attended = setTimeout(() => {
    slot.turn = slot.turn.then(rest).catch(() => {});
  }, servedMs);
}
