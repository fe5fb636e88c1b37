/** Content blocks of the API ⇄ content of the transcript. Pure. @module */
import type { TranscriptContent } from "../models/model.ts";

function isBlock(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/**
 * The blocks that a model can be shown: text, base64 images and documents, and documents whose source is text. Others have been
 * refused when the event was admitted, and are left out here.
 */
export function readContent(blocks: unknown): TranscriptContent[] {
  if (!Array.isArray(blocks)) return [];
  return blocks.filter(isBlock).flatMap((block): TranscriptContent[] => {
    const source = isBlock(block["source"]) ? block["source"] : {};
    if (block["type"] === "text") return [{ type: "text", text: String(block["text"]) }];
    if (block["type"] === "image" && source["type"] === "base64") {
      return [{ type: "image", mediaType: String(source["media_type"]), base64: String(source["data"]) }];
    }
    if (block["type"] === "document" && source["type"] === "base64") {
      const { media_type: mediaType, data } = source;
      const { context } = block;
      const text = typeof context === "string" ? context : "[a document that this model cannot be shown]";
      return [{ type: "document", mediaType: String(mediaType), base64: String(data), text }];
    }
    if (block["type"] === "document" && source["type"] === "text") {
      return [{ type: "text", text: String(source["data"]) }];
    }
    return [];
  });
}

/** @example writeContent([{ type: "text", text: "ok" }]) */
export function writeContent(content: readonly TranscriptContent[]): Record<string, unknown>[] {
  return content.map((part) => {
    if (part.type === "text") return { type: "text", text: part.text };
    const source = { type: "base64", media_type: part.mediaType, data: part.base64 };
    if (part.type === "image") return { type: "image", source };
    return { type: "document", source, context: part.text };
  });
}
