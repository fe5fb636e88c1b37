/**
 * Workers that break a rule on purpose: run with DURABILITY_BROKEN=replay, fencing or drop, the bench must fail. Nothing
 * here is part of a run that counts.
 * @module
 */
import type { Effects } from "@exoloop/server/loop/effects";
import { type Claim, ClaimLostError } from "@exoloop/server/sessions/log";
import type { ReplayRule } from "@exoloop/server/tools/tool";
import { brokenVariable } from "./settings.ts";

type Broken = "replay" | "fencing" | "drop" | null;

function readBroken(): Broken {
  const value = process.env[brokenVariable];
  return value === "replay" || value === "fencing" || value === "drop" ? value : null;
}

const broken = readBroken();

/** `replay`: the counting tool is run again after a crash. */
export const countingRule: ReplayRule = broken === "replay" ? "safe" : "never";

/** `fencing`: a driver that was replaced takes the new epoch for its own. `drop`: some results never reach the log. */
export function breakEffects(effects: Effects, claim: Claim): Effects {
  if (broken === "fencing") return { ...effects, append: (request) => appendUnfenced(effects, claim, request) };
  if (broken !== "drop") return effects;
  return {
    ...effects,
    append(request) {
      const events = request.events.filter((event) => event.type !== "agent.tool_result" || Math.random() > 0.02);
      return effects.append({ ...request, events });
    },
  };
}

type Append = Effects["append"];

async function appendUnfenced(effects: Effects, claim: Claim, request: Parameters<Append>[0]): ReturnType<Append> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await effects.append(request);
    } catch (error) {
      if (!(error instanceof ClaimLostError) || attempt > 20) throw error;
      // The live effects read the epoch of this very object at each append.
      Object.assign(claim, { epoch: claim.epoch + 1 });
    }
  }
}
