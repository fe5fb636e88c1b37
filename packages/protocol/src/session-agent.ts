/** The agent as a session has it: resolved when the session was created, and unchanged by later versions. @module */
import { z } from "zod";
import { agentDefinition } from "./agents.ts";
import { multiagentOf } from "./multiagent.ts";

/** The agent of a thread; who may be given work stands in the session's agent only. */
export const threadAgent = z
  .object({
    id: z.string(),
    type: z.literal("agent"),
    version: z.int(),
    ...agentDefinition.omit({ metadata: true, multiagent: true }).shape,
  })
  .meta({ id: "ThreadAgent" });
export type ThreadAgent = z.infer<typeof threadAgent>;

export const sessionMultiagent = multiagentOf(threadAgent);
export type SessionMultiagent = z.infer<typeof sessionMultiagent>;

export const sessionAgent = z
  .object({ ...threadAgent.shape, multiagent: sessionMultiagent.nullable() })
  .meta({ id: "SessionAgent" });
export type SessionAgent = z.infer<typeof sessionAgent>;
