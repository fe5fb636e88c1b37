/** Content blocks of messages and of tool results. @module */
import { z } from "zod";

export const textBlock = z.strictObject({ type: z.literal("text"), text: z.string() });

const base64Source = z.strictObject({
  type: z.literal("base64"),
  media_type: z.string().min(1).max(255),
  data: z.base64().min(1),
});
const urlSource = z.strictObject({ type: z.literal("url"), url: z.url().max(2048) });
const fileSource = z.strictObject({ type: z.literal("file"), file_id: z.string().min(1).max(128) });
const plainTextSource = z.strictObject({
  type: z.literal("text"),
  media_type: z.literal("text/plain"),
  data: z.string(),
});

const imageBlock = z.strictObject({
  type: z.literal("image"),
  source: z.discriminatedUnion("type", [base64Source, urlSource, fileSource]),
});

const documentBlock = z.strictObject({
  type: z.literal("document"),
  source: z.discriminatedUnion("type", [base64Source, plainTextSource, urlSource, fileSource]),
  context: z.exactOptional(z.string().nullable()),
  title: z.exactOptional(z.string().nullable()),
});

export const redactedBlock = z.strictObject({ type: z.literal("redacted") });

const searchResultBlock = z.strictObject({
  type: z.literal("search_result"),
  source: z.string(),
  title: z.string(),
  content: z.array(textBlock),
  citations: z.strictObject({ enabled: z.boolean() }),
});

export const messageBlock = z.discriminatedUnion("type", [textBlock, imageBlock, documentBlock, redactedBlock]);
type MessageBlock = z.infer<typeof messageBlock>;

export const resultBlock = z.discriminatedUnion("type", [textBlock, imageBlock, documentBlock, searchResultBlock]);
type ResultBlock = z.infer<typeof resultBlock>;

/** The blocks that a model can be shown without fetching anything: text, images in the request, text documents. */
export type InlineBlock =
  | z.infer<typeof textBlock>
  | (z.infer<typeof imageBlock> & { source: z.infer<typeof base64Source> })
  | (z.infer<typeof documentBlock> & { source: z.infer<typeof plainTextSource> });

/** @example isInlineBlock({ type: "image", source: { type: "url", url: "https://example.com/a.png" } }) // false */
export function isInlineBlock(block: MessageBlock | ResultBlock): block is InlineBlock {
  if (block.type === "text") return true;
  if (block.type === "image") return block.source.type === "base64";
  return block.type === "document" && block.source.type === "text";
}
