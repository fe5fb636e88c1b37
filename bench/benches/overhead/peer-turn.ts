/**
 * A turn of the peers: the rows of our loop in as few appends as our loop's, without the loop. A step's effect, which is
 * nothing, lies between the append of its intent and that of its result, which is also the next step's intent.
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
  /** Answers the identifier of the tool's call. */
  model(): Promise<string>;
  tool(toolUseId: string): Promise<void>;
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
  let start = publicEvent("span.model_request_start", {});
  const callModel = async () => {
    if (text.includes(hang)) await sleep(600_000);
  };
  const consumed = recordEvent("x.consumed", { event_ids: [message.id] });
  const begin = [publicEvent("session.status_running", {}), consumed, start];
  await appendAsDriver(database, claim, begin, { status: "running" });
  return {
    rounds: Number(/"text": ?"(\d+)"/.exec(text)?.[1] ?? 0),
    async model() {
      await callModel();
      const callId = createId("event");
      const end = modelEnd(start.id, [{ type: "tool_call", callId, toolName: "nothing", input: {} }]);
      const data = { name: "nothing", input: {}, evaluated_permission: "allow", evaluation: { type: "always_allow" } };
      const use = publicEvent("agent.tool_use", data, { record: { call_id: callId } });
      const reasons = ["the tool's permission policy"];
      const audit = [{ action: "tool.call", resource: "nothing", decision: "allow" as const, reasons, digest }];
      const started = recordEvent("x.tool_started", { tool_use_id: use.id });
      await appendAsDriver(database, claim, [end, use, started], { audit });
      return use.id;
    },
    async tool(toolUseId) {
      const content = [{ type: "text", text: "ok" }];
      const result = publicEvent("agent.tool_result", { tool_use_id: toolUseId, content, is_error: false });
      start = publicEvent("span.model_request_start", {});
      await appendAsDriver(database, claim, [result, start]);
    },
    async finish() {
      await callModel();
      const content = [{ type: "text", text: "done" }];
      const end = [
        modelEnd(start.id, content),
        publicEvent("agent.message", { content }),
        publicEvent("session.status_idle", { stop_reason: { type: "end_turn" }, stop_details: null }),
      ];
      await appendAsDriver(database, claim, end, { status: "idle" });
    },
  };
}
