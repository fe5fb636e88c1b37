/** Events that a client sends. @module */
import { z } from "zod";
import { type InlineBlock, isInlineBlock, messageBlock, resultBlock } from "./content.ts";

const toolUseId = z.string().min(1).max(128);
const messageContent = z.array(messageBlock).min(1).max(100);
const resultContent = z.exactOptional(z.array(resultBlock).max(100));
const resultError = z.exactOptional(z.boolean().nullable());

/**
 * `steer`: the message is heard at the next step of what runs. `queue`: when that has ended, one exchange for each
 * message.
 */
export const messageDelivery = z.strictObject({
  delivery: z.exactOptional(z.enum(["steer", "queue"])),
  /** It quotes what nobody vouches for, such as an email: what the session writes from then on is marked. */
  untrusted: z.exactOptional(z.boolean()),
});

const userMessage = z.strictObject({
  type: z.literal("user.message"),
  content: messageContent,
  /** What this server adds: steers unless it says otherwise. */
  x_exoloop: z.exactOptional(messageDelivery),
});

const userInterrupt = z.strictObject({
  type: z.literal("user.interrupt"),
  session_thread_id: z.exactOptional(z.string().min(1).max(128).nullable()),
});

const userToolConfirmation = z
  .strictObject({
    type: z.literal("user.tool_confirmation"),
    tool_use_id: toolUseId,
    result: z.enum(["allow", "deny"]),
    deny_message: z.exactOptional(z.string().max(10_000).nullable()),
  })
  .refine((event) => event.result === "deny" || (event.deny_message ?? null) === null, {
    error: "deny_message is allowed only with result `deny`",
    path: ["deny_message"],
  });

const userCustomToolResult = z.strictObject({
  type: z.literal("user.custom_tool_result"),
  custom_tool_use_id: toolUseId,
  content: resultContent,
  is_error: resultError,
});

const userToolResult = z.strictObject({
  type: z.literal("user.tool_result"),
  tool_use_id: toolUseId,
  content: resultContent,
  is_error: resultError,
});

const userDefineOutcome = z.strictObject({
  type: z.literal("user.define_outcome"),
  description: z.string().min(1).max(100_000),
  rubric: z.discriminatedUnion("type", [
    z.strictObject({ type: z.literal("text"), content: z.string().min(1).max(262_144) }),
    z.strictObject({ type: z.literal("file"), file_id: z.string().min(1).max(128) }),
  ]),
  max_iterations: z.exactOptional(z.int().min(1).max(20).nullable()),
});

const systemMessage = z.strictObject({
  type: z.literal("system.message"),
  content: z
    .array(z.strictObject({ type: z.literal("text"), text: z.string() }))
    .min(1)
    .max(100),
});

export const sendableEvent = z
  .discriminatedUnion("type", [
    userMessage,
    userInterrupt,
    userToolConfirmation,
    userCustomToolResult,
    userToolResult,
    userDefineOutcome,
    systemMessage,
  ])
  .meta({ id: "SendableEvent" });
export type SendableEvent = z.infer<typeof sendableEvent>;

const maximumEventsPerRequest = 50;

export const sendEventsRequest = z
  .strictObject({ events: z.array(sendableEvent).min(1).max(maximumEventsPerRequest) })
  .meta({ id: "SendEventsRequest" });

/** The events that this server acts on, with content that needs no fetching. */
export type SupportedUserEvent =
  | { type: "user.message"; content: InlineBlock[]; x_exoloop?: { delivery?: "steer" | "queue"; untrusted?: boolean } }
  /** Of one thread; null: of the session and all its threads. */
  | { type: "user.interrupt"; session_thread_id: string | null }
  | {
      type: "user.tool_confirmation";
      tool_use_id: string;
      result: "allow" | "deny";
      deny_message: string | null;
    }
  | {
      type: "user.custom_tool_result";
      custom_tool_use_id: string;
      content: InlineBlock[];
      is_error: boolean;
    }
  /** Of a worker of a self-hosted environment. */
  | { type: "user.tool_result"; tool_use_id: string; content: InlineBlock[]; is_error: boolean }
  | { type: "user.define_outcome"; description: string; rubric: TextRubric; max_iterations: number };

/** What the work is held against. */
interface TextRubric {
  type: "text";
  content: string;
}

const defaultIterations = 3;

/**
 * The event in the form that this server acts on, or one sentence that says what of it is not supported.
 * @example readSupportedEvent({ type: "user.interrupt" }) // { type: "user.interrupt", session_thread_id: null }
 */
export function readSupportedEvent(event: SendableEvent): SupportedUserEvent | { unsupported: string } {
  switch (event.type) {
    case "user.message": {
      const content = event.content.filter(isInlineBlock);
      return content.length === event.content.length ? { ...event, content } : unsupportedContent;
    }
    case "user.interrupt":
      return { type: event.type, session_thread_id: event.session_thread_id ?? null };
    case "user.tool_confirmation":
      return { ...event, deny_message: event.deny_message ?? null };
    case "user.tool_result":
    case "user.custom_tool_result": {
      const sent = event.content ?? [];
      const content = sent.filter(isInlineBlock);
      if (content.length !== sent.length) return unsupportedContent;
      return { ...event, content, is_error: event.is_error ?? false };
    }
    case "user.define_outcome": {
      const { type, description, rubric } = event;
      if (rubric.type === "file") return { unsupported: "Send the rubric as text: this server has no files yet." };
      return { type, description, rubric, max_iterations: event.max_iterations ?? defaultIterations };
    }
    case "system.message":
      return { unsupported: `Events of type ${event.type} are not supported by this server.` };
  }
}

const unsupportedContent = {
  unsupported: "Only text, base64 images and plain-text documents are supported as content.",
};
