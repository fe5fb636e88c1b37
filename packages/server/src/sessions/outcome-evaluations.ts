/** How far the outcomes of sessions are reached, read from their logs. @module */
import type { OutcomeEvaluation } from "@exoloop/protocol/sessions";
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";

const types = [
  "user.define_outcome",
  "user.interrupt",
  "x.consumed",
  "span.outcome_evaluation_start",
  "span.outcome_evaluation_end",
] as const;

interface OutcomeEvent {
  readonly type: string;
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly record: Readonly<Record<string, unknown>> | null;
  readonly createdAt: Date;
}

/** By session id, in the order in which they were defined; a session without outcomes is absent. */
export async function readOutcomeEvaluations(
  database: Kysely<Tables>,
  sessionIds: readonly string[],
): Promise<ReadonlyMap<string, readonly OutcomeEvaluation[]>> {
  if (sessionIds.length === 0) return new Map();
  const rows = await database
    .selectFrom("session_events as event")
    .select(["event.session_id", "event.type", "event.id", "event.data", "event.record", "event.created_at"])
    .where("event.session_id", "in", [...sessionIds])
    .where("event.type", "in", [...types])
    // Most sessions have none, and their other events are not read.
    .where((expression) =>
      expression.exists(
        expression
          .selectFrom("session_events as defined")
          .select("defined.seq")
          .whereRef("defined.session_id", "=", "event.session_id")
          .where("defined.type", "=", "user.define_outcome"),
      ),
    )
    .orderBy("event.session_id")
    .orderBy("event.seq")
    .execute();
  const bySession = new Map<string, OutcomeEvent[]>();
  for (const { session_id: sessionId, created_at: createdAt, ...row } of rows) {
    bySession.set(sessionId, [...(bySession.get(sessionId) ?? []), { ...row, createdAt }]);
  }
  return new Map([...bySession].map(([sessionId, events]) => [sessionId, evaluationsOf(events)]));
}

/** Pure. Exported for its test. */
export function evaluationsOf(events: readonly OutcomeEvent[]): readonly OutcomeEvaluation[] {
  const outcomes = new Map<string, OutcomeEvaluation & { readonly eventId: string }>();
  const change = (outcomeId: unknown, changed: Partial<OutcomeEvaluation>) => {
    const found = outcomes.get(String(outcomeId));
    if (found !== undefined && found.completed_at === null) outcomes.set(found.outcome_id, { ...found, ...changed });
  };
  for (const { type, id, data, record, createdAt } of events) {
    const completed_at = createdAt.toISOString();
    const iteration = Number(data?.["iteration"]);
    if (type === "user.define_outcome") {
      const outcome_id = String(data?.["outcome_id"]);
      const begun = { result: "pending", iteration: 0, explanation: null, completed_at: null } as const;
      const description = String(data?.["description"]);
      outcomes.set(outcome_id, { type: "outcome_evaluation", outcome_id, description, ...begun, eventId: id });
    } else if (type === "span.outcome_evaluation_start") {
      change(data?.["outcome_id"], { result: "evaluating", iteration });
    } else if (type === "span.outcome_evaluation_end") {
      change(data?.["outcome_id"], endOf(data ?? {}, iteration, completed_at));
    } else if (type === "user.interrupt") {
      // It ends what runs and what waits, also between two evaluations.
      for (const outcome of outcomes.values()) change(outcome.outcome_id, { result: "interrupted", completed_at });
    } else {
      const ids: readonly unknown[] = Array.isArray(record?.["event_ids"]) ? record["event_ids"] : [];
      for (const outcome of outcomes.values()) {
        if (ids.includes(outcome.eventId)) change(outcome.outcome_id, { result: "running" });
      }
    }
  }
  return [...outcomes.values()].map(({ eventId: _eventId, ...outcome }) => outcome);
}

function endOf(
  data: Readonly<Record<string, unknown>>,
  iteration: number,
  completed_at: string,
): Partial<OutcomeEvaluation> {
  const explanation = String(data["explanation"]);
  switch (data["result"]) {
    case "satisfied":
    case "max_iterations_reached":
    case "failed":
    case "interrupted":
      return { result: data["result"], iteration, explanation, completed_at };
    default:
      return { result: "running", iteration: iteration + 1, explanation };
  }
}
