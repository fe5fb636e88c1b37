/** Threads: a session's own conversation, and those of the agents that it has given work to. @module */
import { z } from "zod";
import { listCost } from "./budgets.ts";
import { pageOf } from "./pages.ts";
import { threadAgent } from "./session-agent.ts";
import { sessionStatus } from "./sessions.ts";
import { timestamp } from "./values.ts";

export const sessionThread = z
  .object({
    id: z.string(),
    type: z.literal("session_thread"),
    session_id: z.string(),
    agent: threadAgent,
    /** Null for the session's own conversation, the primary thread. */
    parent_thread_id: z.string().nullable(),
    status: sessionStatus,
    /** Null until the thread has begun. */
    stats: z
      .object({ active_seconds: z.number(), duration_seconds: z.number(), startup_seconds: z.number() })
      .nullable(),
    /** Null until the thread has come to rest. */
    usage: z
      .object({
        input_tokens: z.int(),
        output_tokens: z.int(),
        cache_read_input_tokens: z.int(),
        cache_creation: z.object({ ephemeral_5m_input_tokens: z.int(), ephemeral_1h_input_tokens: z.int() }),
        active_seconds: z.number(),
        list_cost: z.exactOptional(listCost),
      })
      .nullable(),
    workflow_run_id: z.null(),
    created_at: timestamp,
    updated_at: timestamp,
    archived_at: timestamp.nullable(),
  })
  .meta({ id: "SessionThread" });
export type SessionThread = z.infer<typeof sessionThread>;

export const threadPage = pageOf(sessionThread).meta({ id: "SessionThreadPage" });

/**
 * The primary thread's identifier: the session's, under the prefix of threads.
 * @example primaryThreadId("sesn_06ERZW1S4M3V8Q6P1K2T7XY9AB") // "sthr_06ERZW1S4M3V8Q6P1K2T7XY9AB"
 */
export function primaryThreadId(sessionId: string): string {
  return sessionId.replace(/^sesn_/, "sthr_");
}
