/** Agents: a definition with immutable versions. @module */
import { z } from "zod";
import { mcpServer, tool, toolInput } from "./tools.ts";
import { metadata, metadataPatch, timestamp } from "./values.ts";
import { pageOf } from "./pages.ts";

export const effortLevels = ["low", "medium", "high", "xhigh", "max"] as const;
const effort = z.strictObject({ type: z.enum(effortLevels) });
const speed = z.enum(["standard", "fast"]);
const modelId = z.string().min(1).max(256);

export const modelInput = z.union([
  modelId,
  z.strictObject({
    id: modelId,
    effort: z.exactOptional(z.union([z.enum(effortLevels), effort]).nullable()),
    inference_geo: z.exactOptional(z.string().min(1).max(64).nullable()),
    speed: z.exactOptional(speed.nullable()),
  }),
]);
export type ModelInput = z.infer<typeof modelInput>;

export const modelChoice = z.object({
  id: modelId,
  effort: z.exactOptional(z.discriminatedUnion("type", effortLevels.map(effortOf))),
  inference_geo: z.exactOptional(z.string()),
  speed: z.exactOptional(speed),
});
export type ModelChoice = z.infer<typeof modelChoice>;
