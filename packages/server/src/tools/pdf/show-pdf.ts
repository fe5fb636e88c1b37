/**
 * How a PDF is shown: a small one as it is, for models that take documents, with its text for the others; of a larger one
 * the text of some pages.
 * @module
 */
import { errorResult, textResult } from "../registry.ts";
import type { ToolResult } from "../tool.ts";
import { extractPdfText, mostPages } from "./extract-text.ts";

/** Pages of a document that is shown without a range, and as a document. */
const mostWholePages = 10;
/** Bytes: its base64 goes into the log, and to the model with every step. */
const largestDocument = 3 * 1024 * 1024;

const signature = Buffer.from("%PDF-");

export function isPdf(bytes: Uint8Array): boolean {
  return signature.every((byte, index) => bytes[index] === byte);
}

/** @param pages Such as `3` or `1-5`. */
export async function showPdf(path: string, bytes: Uint8Array, pages: string | undefined): Promise<ToolResult> {
  const range = rangeOf(pages);
  if (range === null) {
    return errorResult(
      `read: pages must be a number or a range such as 1-5, of at most ${mostPages} pages, not ${JSON.stringify(pages)}.`,
    );
  }
  const answer = await extractPdfText(bytes, range);
  if (answer.type === "too_costly")
    return errorResult(`read: ${path} is a PDF that takes too much time or memory to read. Use bash to look into it.`);
  if (answer.type === "unreadable") {
    const why = answer.isLocked ? "is protected by a password" : "cannot be read: it is damaged";
    return errorResult(`read: the PDF ${path} ${why}.`);
  }
  const total = answer.pages;
  if (range.first > total) return errorResult(`read: ${path} has ${total} pages, so none from ${range.first} on.`);
  if (pages === undefined && total > mostWholePages) {
    return errorResult(
      `read: ${path} has ${total} pages: name some of them with pages, such as 1-5, at most ${mostPages} at once.`,
    );
  }
  const text = answer.texts.map((page, index) => describePage(page, answer.first + index, total)).join("\n\n");
  if (pages !== undefined || bytes.length > largestDocument) return textResult(text);
  const base64 = Buffer.from(bytes).toString("base64");
  return { content: [{ type: "document", mediaType: "application/pdf", base64, text }], isError: false };
}

function describePage(text: string, number: number, total: number): string {
  const shown = text.trim();
  return `[page ${number} of ${total}]\n${shown === "" ? "[no text: it may be a picture]" : shown}`;
}

/** Without a range the first pages, as many as are shown. Null for what is no range. */
function rangeOf(pages: string | undefined): { readonly first: number; readonly last: number } | null {
  if (pages === undefined) return { first: 1, last: mostWholePages };
  const [, from = "", to = from] = /^\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?$/.exec(pages) ?? [];
  const [first, last] = [Number(from), Number(to)];
  return first >= 1 && last >= first && last - first < mostPages ? { first, last } : null;
}
