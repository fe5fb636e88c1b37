/** The one form of every error. @module */
import { z } from "zod";

export const errorAnswer = z
  .object({
    type: z.literal("error"),
    error: z.object({
      type: z.string(),
      /** What is wrong, and where. */
      message: z.string(),
      /** Stable; programs compare this, not the message. */
      code: z.string(),
      /** What to do about it. */
      hint: z.string().nullable(),
      /** The code once more, where the official SDKs look for it, and what else programs are told. */
      details: z.looseObject({ error_code: z.string() }),
    }),
    request_id: z.string().nullable(),
  })
  .meta({ id: "Error" });
export type ErrorAnswer = z.infer<typeof errorAnswer>;
