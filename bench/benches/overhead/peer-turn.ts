/**
 * A turn of the peers: the rows of our loop, step by step, without the loop. Each step is its intent, its effect, which
 * is nothing, and its result: two appends, with the audit row in the intent's.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createId } from "@exoloop/protocol/ids";
import type { Database } from "@exoloop/server/db/database";
import { type NewEvent, publicEvent, recordEvent } from "@exoloop/server/sessions/event";
import { appendAsDriver, type Claim } from "@exoloop/server/sessions/log";
import { hang } from "./instant.ts";

const usage = { input_tokens: 100, output_tokens: 10, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
const loopUsage = { input: 100, output: 10, cacheRead: 0, cacheWrite: 0, estimated: false };
const digest = "0".repeat(64);

function modelEnd(startId: string, content: readonly object[]): NewEvent {
  return publicEvent(
    "span.model_request_end",
    { model_request_start_id: startId, is_error: false, model_usage: usage },
    { record: { content, finish_reason: "stop", usage: loopUsage } },
  );
}

export interface PeerTurn {
  /** What the last message asks for: pairs of a model call and a tool call. */
  readonly rounds: number;
  /** Answers the identifier of the call that the model made. */
  model(round: number): Promise<string>;
  tool(callId: string): Promise<void>;
  /** The last model call, and the end of the turn. */
  finish(): Promise<void>;
}

/** Reads what there is to do and says that it has begun. */
export async function beginPeerTurn(database: Database, claim: Claim): Promise<PeerTurn> {
  const message = await database
    .selectFrom("session_events")
    .select(["id", "data"])
    .where("session_id", "=", claim.sessionId)
    .where("type", "=", "user.message")
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirstOrThrow();
  const text = JSON.stringify(message.data);
  const append = (events: readonly NewEvent[], status?: "running" | "idle") =>
    appendAsDriver(database, claim, events, status === undefined ? {} : { status });
  const begin = [publicEvent("session.status_running", {}), recordEvent("x.consumed", { event_ids: [message.id] })];
  await append(begin, "running");
  const callModel = async (content: readonly object[]): Promise<void> => {
    const start = publicEvent("span.model_request_start", {});
    await append([start]);
    if (text.includes(hang)) await sleep(600_000);
    await append([modelEnd(start.id, content)]);
  };
  return {
    rounds: Number(/"text": ?"(\d+)"/.exec(text)?.[1] ?? 0),
    async model() {
      const callId = createId("event");
      await callModel([{ type: "tool_call", callId, toolName: "nothing", input: {} }]);
      return callId;
    },
    async tool(callId) {
      const data = { name: "nothing", input: {}, evaluated_permission: "allow", evaluation: { type: "always_allow" } };
      const use = publicEvent("agent.tool_use", data, { record: { call_id: callId } });
      const reasons = ["the tool's permission policy"];
      const audit = [{ action: "tool.call", resource: "nothing", decision: "allow" as const, reasons, digest }];
      await appendAsDriver(database, claim, [use, recordEvent("x.tool_started", { tool_use_id: use.id })], { audit });
      const content = [{ type: "text", text: "ok" }];
      await append([publicEvent("agent.tool_result", { tool_use_id: use.id, content, is_error: false })]);
    },
    async finish() {
      await callModel([{ type: "text", text: "done" }]);
      await append(
        [
          publicEvent("agent.message", { content: [{ type: "text", text: "done" }] }),
          publicEvent("session.status_idle", { stop_reason: { type: "end_turn" }, stop_details: null }),
        ],
        "idle",
      );
    },
  };
}
