/** Events of a session's history and stream. @module */
import { z } from "zod";
import { budgetLimitAnswer, budgetReached, listCost, sessionBudget } from "./budgets.ts";
import { messageBlock, redactedBlock, resultBlock, textBlock } from "./content.ts";
import { messageDelivery } from "./events.ts";
import { pageOf } from "./pages.ts";
import { sessionAgent } from "./session-agent.ts";
import { timestamp } from "./values.ts";

const identifier = z.string();
/** Null while the event waits to be processed. */
const inbox = { id: identifier, processed_at: timestamp.nullable() };
const made = { id: identifier, processed_at: timestamp };
const toolInput = z.record(z.string(), z.unknown());
const result = {
  content: z.exactOptional(z.array(resultBlock)),
  is_error: z.exactOptional(z.boolean().nullable()),
};

/** Set on what belongs to a thread and is shown in its session, because somebody is asked or has answered. */
const ofThread = { session_thread_id: z.exactOptional(identifier.nullable()) };

/** Nobody has answered in time: the server has. */
const expiredApproval = z.object({ expired: z.literal(true) });

const userEvents = [
  z.object({
    type: z.literal("user.message"),
    ...inbox,
    content: z.array(messageBlock),
    x_exoloop: z.exactOptional(messageDelivery),
  }),
  z.object({ type: z.literal("user.interrupt"), ...inbox, ...ofThread }),
  z.object({
    type: z.literal("user.tool_confirmation"),
    ...inbox,
    tool_use_id: identifier,
    result: z.enum(["allow", "deny"]),
    deny_message: z.exactOptional(z.string().nullable()),
    ...ofThread,
    x_exoloop: z.exactOptional(expiredApproval),
  }),
  z.object({
    type: z.literal("user.custom_tool_result"),
    ...inbox,
    custom_tool_use_id: identifier,
    ...result,
    ...ofThread,
  }),
  z.object({
    type: z.literal("user.tool_result"),
    ...inbox,
    tool_use_id: identifier,
    ...result,
    ...ofThread,
  }),
  z.object({
    type: z.literal("user.define_outcome"),
    ...made,
    outcome_id: identifier,
    description: z.string(),
    rubric: z.object({ type: z.literal("text"), content: z.string() }),
    max_iterations: z.int().nullable(),
  }),
] as const;

const evaluation = z.discriminatedUnion("type", [
  z.object({ type: z.literal("always_allow") }),
  z.object({ type: z.literal("always_ask") }),
  z.object({
    type: z.literal("auto"),
    evaluated_permission: z.discriminatedUnion("type", [
      z.object({ type: z.literal("allow") }),
      z.object({ type: z.literal("ask"), reason_code: z.string() }),
      z.object({ type: z.literal("deny"), reason_code: z.string() }),
    ]),
  }),
]);

const agentEvents = [
  z.object({
    type: z.literal("agent.message"),
    ...made,
    content: z.array(z.discriminatedUnion("type", [textBlock, redactedBlock])),
  }),
  z.object({ type: z.literal("agent.thinking"), ...made }),
  z.object({
    type: z.literal("agent.tool_use"),
    ...made,
    name: z.string(),
    input: toolInput,
    evaluated_permission: z.exactOptional(z.enum(["allow", "ask", "deny"])),
    evaluation: z.exactOptional(evaluation),
    /** What whoever decides on the call is shown besides its arguments. */
    x_exoloop: z.exactOptional(z.object({ review: z.string() })),
    ...ofThread,
  }),
  z.object({ type: z.literal("agent.tool_result"), ...made, tool_use_id: identifier, ...result }),
  z.object({
    type: z.literal("agent.custom_tool_use"),
    ...made,
    name: z.string(),
    input: toolInput,
    ...ofThread,
  }),
  z.object({ type: z.literal("agent.thread_context_compacted"), ...made }),
] as const;

export const stopReason = z.discriminatedUnion("type", [
  z.object({ type: z.literal("end_turn") }),
  z.object({ type: z.literal("requires_action"), event_ids: z.array(identifier) }),
  z.object({ type: z.literal("retries_exhausted") }),
  z.object({ type: z.literal("budget_reached") }),
  z.object({ type: z.literal("refusal") }),
]);
export type StopReason = z.infer<typeof stopReason>;

const stopDetails = z.object({
  type: z.literal("refusal"),
  category: z.enum(["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"]).nullable(),
  explanation: z.string().nullable(),
});

const thread = { session_thread_id: identifier, agent_name: z.string() };
const threadMessage = z.array(messageBlock);

/** What threads do, shown in the session that they work for and, for status, in their own stream. */
const threadEvents = [
  z.object({
    type: z.literal("session.thread_created"),
    ...made,
    ...thread,
    workflow_run_id: z.null(),
  }),
  z.object({ type: z.literal("session.thread_status_running"), ...made, ...thread }),
  z.object({ type: z.literal("session.thread_status_rescheduled"), ...made, ...thread }),
  z.object({ type: z.literal("session.thread_status_terminated"), ...made, ...thread }),
  z.object({
    type: z.literal("session.thread_status_idle"),
    ...made,
    ...thread,
    stop_reason: stopReason,
    stop_details: stopDetails.nullable(),
  }),
  z.object({
    type: z.literal("agent.thread_message_sent"),
    ...made,
    to_session_thread_id: identifier,
    to_agent_name: z.exactOptional(z.string().nullable()),
    content: threadMessage,
  }),
  z.object({
    type: z.literal("agent.thread_message_received"),
    ...made,
    from_session_thread_id: identifier,
    from_agent_name: z.exactOptional(z.string().nullable()),
    content: threadMessage,
  }),
] as const;

const sessionError = z.object({
  type: z.enum([
    "unknown_error",
    "model_overloaded_error",
    "model_rate_limited_error",
    "model_request_failed_error",
    "billing_error",
    "tool_use_limit_reached_error",
    "compaction_limit_reached_error",
  ]),
  message: z.string(),
  retry_status: z.object({ type: z.enum(["retrying", "exhausted", "terminal"]) }),
});

const modelUsage = z.object({
  input_tokens: z.int(),
  output_tokens: z.int(),
  cache_creation_input_tokens: z.int(),
  cache_read_input_tokens: z.int(),
  speed: z.exactOptional(z.enum(["standard", "fast"]).nullable()),
});

const usage = z.object({
  input_tokens: z.int(),
  output_tokens: z.int(),
  cache_read_input_tokens: z.int(),
  cache_creation: z.object({ ephemeral_5m_input_tokens: z.int(), ephemeral_1h_input_tokens: z.int() }),
  active_seconds: z.number(),
  list_cost: z.exactOptional(listCost),
});

/** `iteration` counts from zero. */
const evaluationOf = { outcome_id: identifier, iteration: z.int() };

const lifeEvents = [
  z.object({ type: z.literal("session.status_running"), ...made }),
  z.object({ type: z.literal("session.status_rescheduled"), ...made }),
  z.object({ type: z.literal("session.status_terminated"), ...made }),
  z.object({
    type: z.literal("session.status_idle"),
    ...made,
    stop_reason: stopReason,
    stop_details: stopDetails.nullable(),
    x_exoloop: z.exactOptional(z.object({ budget_reached: z.exactOptional(budgetReached) })),
  }),
  z.object({ type: z.literal("session.usage"), ...made, usage, budget: budgetLimitAnswer.nullable() }),
  z.object({ type: z.literal("session.error"), ...made, error: sessionError }),
  z.object({
    type: z.literal("session.updated"),
    ...made,
    agent: z.exactOptional(sessionAgent.nullable()),
    metadata: z.exactOptional(z.record(z.string(), z.string())),
    title: z.exactOptional(z.string().nullable()),
    budget: z.exactOptional(budgetLimitAnswer.nullable()),
    x_exoloop: z.exactOptional(
      z.union([
        z.object({ budget: sessionBudget.pick({ limits: true }) }),
        z.object({ visibility: z.literal("shared") }),
      ]),
    ),
  }),
  z.object({ type: z.literal("session.deleted"), ...made }),
  z.object({ type: z.literal("span.model_request_start"), ...made }),
  z.object({
    type: z.literal("span.model_request_end"),
    ...made,
    model_request_start_id: identifier,
    is_error: z.boolean().nullable(),
    model_usage: modelUsage,
  }),
  z.object({ type: z.literal("span.outcome_evaluation_start"), ...made, ...evaluationOf }),
  z.object({
    type: z.literal("span.outcome_evaluation_end"),
    ...made,
    ...evaluationOf,
    outcome_evaluation_start_id: identifier,
    explanation: z.string(),
    result: z.enum(["satisfied", "needs_revision", "max_iterations_reached", "failed", "interrupted"]),
    usage: modelUsage,
  }),
] as const;

export const sessionEvent = z
  .discriminatedUnion("type", [...userEvents, ...agentEvents, ...threadEvents, ...lifeEvents])
  .meta({ id: "SessionEvent" });
export type SessionEvent = z.infer<typeof sessionEvent>;

export const eventPage = pageOf(sessionEvent).meta({ id: "EventPage" });
export const sentEvents = z
  .object({ data: z.array(z.discriminatedUnion("type", userEvents)) })
  .meta({ id: "SentEvents" });
export type SentEvents = z.infer<typeof sentEvents>;
