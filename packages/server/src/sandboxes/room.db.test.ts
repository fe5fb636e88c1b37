/** What a server does for its sandboxes again and again, since their host may be another process by then. */
import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import type { WarmPoolRequest } from "@exoloop/sandbox/contract";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { openSandboxRoom } from "./room.ts";
import { type MemoryWorld, startMemoryWorld } from "./testing-memory.ts";

let world: MemoryWorld;
beforeAll(async () => {
  world = await startMemoryWorld();
});
afterAll(() => world.stop());

it("asks for ready sandboxes at the start and every minute, until it is stopped", async () => {
  const asked: WarmPoolRequest[] = [];
  const memory = createMemoryProvider({ id: "memory" });
  const noting = { ...memory, keepWarm: (request: WarmPoolRequest) => Promise.resolve(void asked.push(request)) };
  const room = await openSandboxRoom({
    ...world.base,
    blobs: world.blobs,
    providers: new Map([["memory", noting]]),
    projectionOf: () => ({ before: () => Promise.resolve(), after: () => Promise.resolve(null) }),
  });
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  try {
    room.begin({ pool: 3 });
    expect(asked.map(({ count }) => count)).toEqual([3]);
    vi.advanceTimersByTime(120_000);
    expect(asked.map(({ count }) => count)).toEqual([3, 3, 3]);
    await room.stop();
    vi.advanceTimersByTime(120_000);
  } finally {
    vi.useRealTimers();
  }
  expect(asked).toHaveLength(3);
});
