/**
 * Frames of a stream that are in no history: they have no sequence number, and a client that misses one misses
 * nothing, because the event that follows is complete.
 * @module
 */
import { z } from "zod";
import { timestamp } from "./values.ts";

/** What `event_deltas[]` may ask for. */
export const previewTypes = ["agent.message", "agent.thinking", "x_exoloop.sandbox_status"] as const;
export type PreviewType = (typeof previewTypes)[number];

export const preview = z
  .discriminatedUnion("type", [
    z.object({
      type: z.literal("event_start"),
      event: z.object({ type: z.enum(["agent.message", "agent.thinking"]), id: z.string() }),
    }),
    z.object({
      type: z.literal("event_delta"),
      event_id: z.string(),
      delta: z.object({
        type: z.literal("content_delta"),
        index: z.int(),
        content: z.object({ type: z.literal("text"), text: z.string() }),
      }),
    }),
    z.object({
      type: z.literal("x_exoloop.sandbox_status"),
      status: z.enum(["creating", "waking", "awake", "suspended", "snapshotted", "replaced", "gone"]),
      generation: z.int(),
      milliseconds: z.number(),
      at: timestamp,
    }),
  ])
  .meta({ id: "Preview" });
export type Preview = z.infer<typeof preview>;
