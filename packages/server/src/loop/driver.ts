/** What the engine calls for each turn: claim, drive, let go. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import { type Claim, claimSession, ClaimLostError } from "../sessions/log.ts";
import type { AgentSnapshot } from "./context.ts";
import type { Effects } from "./effects.ts";
import { createLiveEffects, type LiveEffectsDependencies } from "./effects-live.ts";
import { runTurn } from "./run.ts";

export interface DriverDependencies extends LiveEffectsDependencies {
  /** Stands between the loop and what it does: crash tests stop there, the durability bench kills there. */
  readonly wrapEffects?: (effects: Effects, claim: Claim) => Effects;
}

/**
 * Drives one turn of a session. A driver that was replaced stops without an error: the other one goes on. Any other
 * failure rejects, and the engine hands the turn out again.
 */
export async function driveTurn(dependencies: DriverDependencies, sessionId: string): Promise<void> {
  const { database, log, tools } = dependencies;
  const claim = await claimSession(database, sessionId);
  if (claim === null) return;
  try {
    const agent = await readAgent(database, sessionId);
    if (agent === null) return;
    const live = createLiveEffects(dependencies, claim, agent);
    const effects = dependencies.wrapEffects?.(live, claim) ?? live;
    await runTurn(effects, (toolName) => tools.find(toolName)?.parallel === true);
  } catch (error) {
    if (error instanceof ClaimLostError) {
      log.info({ session: sessionId, epoch: claim.epoch }, "claim lost");
      return;
    }
    log.error({ session: sessionId, error }, "turn failed");
    throw error;
  }
}

async function readAgent(database: Kysely<Tables>, sessionId: string): Promise<AgentSnapshot | null> {
  const row = await database.selectFrom("sessions").select("agent").where("id", "=", sessionId).executeTakeFirst();
  // Written by this server from a validated agent: its shape is the snapshot's.
  return row === undefined ? null : (row.agent as AgentSnapshot);
}
