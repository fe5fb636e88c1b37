/** The agent as a session has it: resolved when the session was created, and unchanged by later versions. @module */
import { z } from "zod";
import { agentDefinition } from "./agents.ts";

export const sessionAgent = z
  .object({
    id: z.string(),
    type: z.literal("agent"),
    version: z.int(),
    ...agentDefinition.omit({ metadata: true }).shape,
  })
  .meta({ id: "SessionAgent" });
export type SessionAgent = z.infer<typeof sessionAgent>;
