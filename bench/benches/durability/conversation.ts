/** One session from its creation to its end, as a client lives through it. @module */
import type { Api } from "./api.ts";
import { follow, type FollowedEvent } from "./follower.ts";
import type { SessionPlan } from "./plan.ts";
import type { Random } from "@exoloop/sandbox/testing/random";

interface Acknowledged {
  readonly sessionId: string;
  readonly eventId: string;
  /** In the event's text; no other event has it. */
  readonly marker: string;
}

export interface Conversation {
  readonly sessionId: string;
  readonly plan: SessionPlan;
  /** Of the first connection to the end. */
  readonly received: readonly FollowedEvent[];
  readonly connections: number;
  readonly acknowledged: readonly Acknowledged[];
  /** Why it did not come to its end; null when it did. */
  readonly stuck: string | null;
}

export interface ConversationOptions {
  readonly api: Api;
  readonly agentId: string;
  readonly environmentId: string;
  readonly random: Random;
  /** Aborts when sessions should long have ended. */
  readonly deadline: AbortSignal;
}

export async function converse(plan: SessionPlan, options: ConversationOptions): Promise<Conversation> {
  const { api, agentId, environmentId, random, deadline } = options;
  const title = `durability ${plan.name} ${crypto.randomUUID()}`;
  const created = (await api.post("/v1/sessions", { agent: agentId, environment_id: environmentId, title }, () =>
    findSession(api, title),
  )) as { readonly id: string };
  const sessionId = created.id;
  const follower = follow(api, sessionId, random);
  const acknowledged: Acknowledged[] = [];
  const say = async (text: string, marker: string) => {
    const body = { events: [{ type: "user.message", content: [{ type: "text", text }] }] };
    const path = `/v1/sessions/${sessionId}/events`;
    const answer = (await api.post(path, body, () => findMessage(api, sessionId, marker))) as EventPage;
    for (const { id } of answer.data) acknowledged.push({ sessionId, eventId: id, marker });
    return answer.data[0]?.id ?? "";
  };
  const play = async (): Promise<string | null> => {
    for (const [index, round] of plan.rounds.entries()) {
      const marker = `Round ${index} of ${plan.name}.`;
      const script = JSON.stringify({ steps: round.steps, compaction: { delayMs: 60 } });
      await say([marker, "```script", script, "```"].join("\n"), marker);
      if (random.chance(0.3)) {
        const aside = `An aside in round ${index} of ${plan.name}.`;
        await follower.until(({ type, seq }) => type === "agent.tool_use" && seq > random.between(5, 40), deadline);
        await say(aside, aside);
      }
      const ended = await follower.until(({ text }) => text === round.end, deadline);
      if (ended === null) return `the stream never showed ${JSON.stringify(round.end)}`;
    }
    let last = 0;
    for (const { eventId } of acknowledged) {
      const event = await follower.until(({ id }) => id === eventId, deadline);
      if (event === null) return `the stream never showed ${eventId}, which was acknowledged`;
      last = Math.max(last, event.seq);
    }
    const end = follower.received.find(({ text }) => text === plan.rounds.at(-1)?.end)?.seq ?? 0;
    const idle = await follower.until(
      ({ type, seq }) => type === "session.status_idle" && seq > Math.max(last, end),
      deadline,
    );
    return idle === null ? "the session never became idle after its last round" : null;
  };
  const fail = (error: unknown): string => (error instanceof Error ? error.message : String(error));
  let stuck = await play().catch(fail);
  if (stuck === null) {
    // Its sandbox is released; the stream ends with the event that says so.
    await api.post(`/v1/sessions/${sessionId}/archive`, {}).catch((error: unknown) => (stuck = fail(error)));
    const end = await follower.until(({ type }) => type === "session.status_terminated", deadline);
    if (end === null) stuck ??= "the stream never showed the end of the archived session";
  }
  await follower.close();
  const { received } = follower;
  return { sessionId, plan, received, connections: follower.connections(), acknowledged, stuck };
}

interface EventPage {
  readonly data: readonly { readonly id: string; readonly content?: readonly { readonly text?: string }[] }[];
}

async function findMessage(api: Api, sessionId: string, marker: string): Promise<EventPage | null> {
  const path = `/v1/sessions/${sessionId}/events?limit=100&types[]=user.message`;
  const { data } = (await api.get(path)) as EventPage;
  const found = data.filter((event) => event.content?.some((block) => block.text?.includes(marker)) === true);
  return found.length === 0 ? null : { data: found };
}

async function findSession(api: Api, title: string): Promise<{ readonly id: string } | null> {
  const page = (await api.get("/v1/sessions?limit=100")) as {
    readonly data: readonly { readonly id: string; readonly title: string | null }[];
  };
  return page.data.find((session) => session.title === title) ?? null;
}
