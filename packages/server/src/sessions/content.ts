/** Content blocks of the API ⇄ content of the transcript. Pure. @module */
import type { TranscriptContent } from "../models/model.ts";

function isBlock(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/**
 * The blocks that a model can be shown: text, base64 images, and documents whose source is text. Others have been
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
    if (block["type"] === "document" && source["type"] === "text") {
      return [{ type: "text", text: String(source["data"]) }];
    }
    return [];
  });
}

/** @example writeContent([{ type: "text", text: "ok" }]) */
export function writeContent(content: readonly TranscriptContent[]): Record<string, unknown>[] {
  return content.map((part) =>
    part.type === "text"
      ? { type: "text", text: part.text }
      : { type: "image", source: { type: "base64", media_type: part.mediaType, data: part.base64 } },
  );
}
