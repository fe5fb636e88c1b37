/** Between a worker's loop and what it does: notes who drives what, and ends the process where the bench has asked for it. @module */
import { fsyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { CrashEffect, CrashMoment } from "@exoloop/server/loop/crash-table";
import type { Effects } from "@exoloop/server/loop/effects";
import type { ServerOverrides } from "@exoloop/server/main";
import type { Tool } from "@exoloop/server/tools/tool";
import { breakEffects } from "./broken.ts";
import { type ArmedPoint, type ClaimEntry, claimsFile, type DeathEntry, deathsFile } from "./worker-messages.ts";

export interface KillPoints {
  arm(point: ArmedPoint): void;
  readonly overrides: Required<Pick<ServerOverrides, "wrapEffects" | "wrapProjection" | "wrapBlobs">>;
}

/** @param onClaim called for each turn that this process drives. */
export function createKillPoints(directory: string, tools: readonly Tool[], onClaim: () => void): KillPoints {
  const claims = openSync(join(directory, claimsFile), "a");
  const deaths = openSync(join(directory, deathsFile), "a");
  let armed: (ArmedPoint & { left: number }) | null = null;

  const die = (row: string): void => {
    const entry: DeathEntry = { pid: process.pid, row, at: Date.now() };
    writeSync(deaths, `${JSON.stringify(entry)}\n`);
    fsyncSync(deaths);
    process.kill(process.pid, "SIGKILL");
    // The signal is on its way; nothing more may happen until it arrives.
    for (;;);
  };
  const isDue = (effect: CrashEffect, moment: CrashMoment): boolean => {
    if (armed === null || armed.row !== `${effect}.${moment}`) return false;
    armed.left -= 1;
    return armed.left <= 0;
  };
  const pass = async <Result>(effect: CrashEffect, work: () => Promise<Result>): Promise<Result> => {
    if (isDue(effect, "before")) die(`${effect}.before`);
    const result = work();
    // An effect that ends sooner is not met during it: the point stays armed for the next one.
    const timer = isDue(effect, "during") ? setTimeout(die, armed?.delayMs ?? 0, `${effect}.during`) : undefined;
    try {
      return await result;
    } finally {
      clearTimeout(timer);
      if (isDue(effect, "after")) die(`${effect}.after`);
    }
  };
  const toolEffect = (toolName: string): CrashEffect => {
    const replay = tools.find((tool) => tool.definition.name === toolName)?.replay;
    if (replay === "reattach") return "run-tool-bash";
    return replay === "safe" ? "run-tool-safe" : "run-tool-never";
  };
  return {
    arm(point) {
      armed = { ...point, left: point.passage };
    },
    overrides: {
      wrapEffects(effects, claim) {
        const { sessionId, epoch } = claim;
        const entry: ClaimEntry = { pid: process.pid, sessionId, epoch, at: Date.now() };
        writeSync(claims, `${JSON.stringify(entry)}\n`);
        onClaim();
        return wrapEffects(breakEffects(effects, claim), pass, toolEffect);
      },
      wrapProjection: (projection) => ({
        before: (workspace) => projection.before(workspace),
        after: (workspace, toolUseId) => pass("capture", () => projection.after(workspace, toolUseId)),
      }),
      wrapBlobs: (blobs) => ({
        ...blobs,
        put: (organizationId, content) => pass("snapshot", () => blobs.put(organizationId, content)),
      }),
    },
  };
}

type Pass = <Result>(effect: CrashEffect, work: () => Promise<Result>) => Promise<Result>;

function wrapEffects(effects: Effects, pass: Pass, toolEffect: (toolName: string) => CrashEffect): Effects {
  return {
    ...effects,
    append: (request) => pass(appendEffect(request), () => effects.append(request)),
    callModel: (request, options) =>
      pass(options.shown ? "call-model" : "compact", () => effects.callModel(request, options)),
    runTool: (call, options) => pass(toolEffect(call.toolName), () => effects.runTool(call, options)),
  };
}

/** What an append is for; a plain one is any other. */
function appendEffect(request: Parameters<Effects["append"]>[0]): CrashEffect {
  if ((request.threads ?? []).length > 0) return "start-thread";
  if (request.parent !== undefined) return "rest-thread";
  if (request.events.some((event) => event.type === "x.wait_started")) return "start-wait";
  if ((request.endedWaits ?? []).length > 0) return "end-wait";
  return (request.audit ?? []).length > 0 ? "decide-calls" : "append";
}
