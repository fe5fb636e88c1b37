/** A tool whose effect is outside of everything that could be rolled back: a line in a file. @module */
import { close, fsync, open, write } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { defineTool, textResult } from "@exoloop/server/tools/registry";
import type { ReplayRule, Tool } from "@exoloop/server/tools/tool";
import { z } from "zod";
import { outsideFile, type OutsideEntry } from "./worker-messages.ts";

export const countingToolName = "count";

const schema = z.strictObject({ token: z.string(), linger_ms: z.int().min(0).max(10_000) });

/**
 * Appends one line and lets it reach the disk, then lingers: a worker killed meanwhile has had the effect and has given
 * no result. Not replayable unless a run of the oracle's own proof says so.
 */
export function createCountingTool(directory: string, replay: ReplayRule): Tool {
  return defineTool({
    name: countingToolName,
    description: "Counts.",
    schema,
    replay,
    parallel: false,
    async run({ token, linger_ms }, { toolUseId }) {
      const entry: OutsideEntry = { toolUseId, pid: process.pid, at: Date.now() };
      const file = await promisify(open)(join(directory, outsideFile), "a");
      await promisify(write)(file, `${JSON.stringify(entry)}\n`);
      await promisify(fsync)(file);
      await promisify(close)(file);
      await sleep(linger_ms);
      return textResult(`counted ${token}`);
    },
  });
}
