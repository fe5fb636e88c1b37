/** Models that agents can use. @module */
import { z } from "zod";
import { timestamp } from "./values.ts";

export const model = z
  .object({
    id: z.string(),
    type: z.literal("model"),
    display_name: z.string(),
    created_at: timestamp,
    lifecycle: z.enum(["active", "deprecated", "retired"]),
    line: z.null(),
    max_input_tokens: z.int().nullable(),
    max_tokens: z.int().nullable(),
    capabilities: z.null(),
    allowed_fallback_models: z.null(),
    deprecated_at: timestamp.nullable(),
    retires_at: timestamp.nullable(),
  })
  .meta({ id: "Model" });
export type Model = z.infer<typeof model>;

export const modelPage = z
  .object({
    data: z.array(model),
    has_more: z.boolean(),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
  })
  .meta({ id: "ModelPage" });
export type ModelPage = z.infer<typeof modelPage>;
