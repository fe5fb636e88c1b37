/**
 * Follows a session's stream through every break with Last-Event-ID alone, and keeps every frame as it came: what it
 * got twice or out of order must be seen, so nothing is sorted out here.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { decodeFrames } from "@exoloop/client/frame-decoder";
import type { Api } from "./api.ts";
import type { Random } from "@exoloop/sandbox/testing/random";

export interface FollowedEvent {
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  /** Of an agent.message; empty otherwise. */
  readonly text: string;
}

export interface Follower {
  /** In the order of arrival. */
  readonly received: readonly FollowedEvent[];
  /** The first received event that satisfies `found`, now or later. Null when `deadline` aborts first. */
  until(found: (event: FollowedEvent) => boolean, deadline: AbortSignal): Promise<FollowedEvent | null>;
  /** How often it connected. */
  connections(): number;
  close(): Promise<void>;
}

/** A sign of life comes every 15 seconds; a stopped worker gives none. */
const silenceMs = 20_000;

export function follow(api: Api, sessionId: string, random: Random): Follower {
  const received: FollowedEvent[] = [];
  const waiting = new Set<() => void>();
  const closed = new AbortController();
  let connections = 0;
  let lastId = "0";

  const connect = async (): Promise<void> => {
    const connection = new AbortController();
    const abort = () => connection.abort();
    closed.signal.addEventListener("abort", abort);
    let silence = setTimeout(abort, silenceMs);
    // Some connections are cut by the client itself.
    const cut = random.chance(0.3) ? setTimeout(abort, random.between(50, 5_000)) : undefined;
    try {
      const response = await api.request("GET", `/v1/sessions/${sessionId}/events/stream`, {
        headers: { accept: "text/event-stream", "last-event-id": lastId },
        signal: connection.signal,
      });
      if (response?.status !== 200 || response.body === null) return;
      connections += 1;
      for await (const frame of decodeFrames(response.body)) {
        clearTimeout(silence);
        silence = setTimeout(abort, silenceMs);
        if (frame.id !== undefined) lastId = frame.id;
        if (frame.id === undefined || frame.data === "") continue;
        received.push(readFrame(frame.id, frame.data));
        for (const wake of waiting) wake();
      }
    } catch {
      // Cut, by whomever.
    } finally {
      clearTimeout(silence);
      clearTimeout(cut);
      closed.signal.removeEventListener("abort", abort);
    }
  };
  const running = (async () => {
    // Whoever comes back after the end is told of it again.
    const isOver = () => received.at(-1)?.type === "session.status_terminated";
    for (; !closed.signal.aborted && !isOver(); await sleep(50)) await connect();
  })();
  return {
    received,
    connections: () => connections,
    async until(found, deadline) {
      for (;;) {
        const event = received.find(found);
        if (event !== undefined) return event;
        if (deadline.aborted) return null;
        await next(waiting, deadline);
      }
    },
    async close() {
      closed.abort();
      await running;
    },
  };
}

/** Resolves at the next event, or when `deadline` aborts. */
function next(waiting: Set<() => void>, deadline: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      waiting.delete(wake);
      deadline.removeEventListener("abort", wake);
      resolve();
    };
    waiting.add(wake);
    deadline.addEventListener("abort", wake);
  });
}

function readFrame(frameId: string, data: string): FollowedEvent {
  const { id, type, content } = JSON.parse(data) as {
    readonly id: string;
    readonly type: string;
    readonly content?: readonly { readonly text?: string }[];
  };
  const text = type === "agent.message" ? (content ?? []).map((block) => block.text ?? "").join("") : "";
  return { seq: Number(frameId), id, type, text };
}
