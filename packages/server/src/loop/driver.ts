/** What the engine calls for each turn: claim, drive, let go. @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../db/tables.ts";
import { type Claim, claimSession, ClaimLostError } from "../sessions/log.ts";
import { toldStores } from "../sessions/resources/told-stores.ts";
import { type AgentSnapshot, modelsOf, rosterOf } from "./context.ts";
import type { Effects } from "./effects.ts";
import { createLiveEffects, type DrivenSession, type LiveEffectsDependencies } from "./effects-live.ts";
import { defaultLimits, runTurn } from "./run.ts";
import { workerTools } from "../tools/worker-tools.ts";

export interface DriverDependencies extends LiveEffectsDependencies {
  /** Stands between the loop and what it does: crash tests stop there, the durability bench kills there. */
  readonly wrapEffects?: (effects: Effects, claim: Claim) => Effects;
  /** How long a call waits for its approval, in milliseconds; a week unless given. */
  readonly approvalMs?: number;
}

/** Further attempts of a model call for each further model that may answer it. */
const attemptsForEachFallback = 3;

/**
 * Drives one turn of a session. A driver that was replaced stops without an error: the other one goes on. Any other
 * failure rejects, and the engine hands the turn out again.
 */
export async function driveTurn(dependencies: DriverDependencies, sessionId: string): Promise<void> {
  const { database, log, tools, approvalMs = defaultLimits.approvalMs } = dependencies;
  const claim = await claimSession(database, sessionId);
  if (claim === null) return;
  try {
    const session = await readSession(database, claim);
    if (session === null) return;
    const live = createLiveEffects(session.selfHosted ? withoutSandbox(dependencies) : dependencies, claim, session);
    const effects = dependencies.wrapEffects?.(live, claim) ?? live;
    const fallbacks = modelsOf(session.agent).length - 1;
    const maximumModelAttempts = defaultLimits.maximumModelAttempts + fallbacks * attemptsForEachFallback;
    const limits = { ...defaultLimits, maximumModelAttempts, approvalMs };
    await runTurn(effects, (toolName) => tools.find(toolName)?.parallel === true, limits);
  } catch (error) {
    if (error instanceof ClaimLostError) {
      log.info({ session: sessionId, epoch: claim.epoch }, "claim lost");
      return;
    }
    log.error({ session: sessionId, error }, "turn failed");
    throw error;
  }
}

function withoutSandbox(dependencies: DriverDependencies): DriverDependencies {
  const { captureWorkspace: _captures, sandboxWake: _wakes, ...rest } = dependencies;
  return { ...rest, tools: workerTools };
}

async function readSession(database: Kysely<Tables>, claim: Claim): Promise<DrivenSession | null> {
  const row = await database
    .selectFrom("sessions")
    .innerJoin("environments", "environments.id", "sessions.environment_id")
    .select([
      "agent",
      "budget",
      "parent_session_id",
      "user_id",
      sql<string | null>`config->>'type'`.as("environment_type"),
    ])
    .where("sessions.id", "=", claim.sessionId)
    .executeTakeFirst();
  if (row === undefined) return null;
  // Written by this server from a validated agent: its shape is the snapshot's.
  const agent = row.agent as AgentSnapshot;
  // A thread gives no work to others: its parent does.
  const roster = row.parent_session_id === null ? rosterOf(agent) : [];
  const selfHosted = row.environment_type === "self_hosted";
  const stores = await toldStores(database, claim.sessionId);
  return {
    agent,
    roster,
    budget: row.budget ?? {},
    parentId: row.parent_session_id,
    selfHosted,
    stores,
    personal: row.user_id !== null,
  };
}
