/**
 * Takes the text out of a PDF, in a thread of its own: a hostile file may cost this thread its time and memory, and
 * nobody else's (extract-text.ts ends it).
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { getDocumentProxy } from "unpdf";
import { z } from "zod";
import type { PdfAnswer } from "./extract-text.ts";

const task = z.object({ bytes: z.instanceof(Uint8Array), first: z.int(), last: z.int(), mostPages: z.int() });

/** Pixels of one picture; its text has none. */
const largestImage = 1_000_000;

async function extract(): Promise<PdfAnswer> {
  const { bytes, first, last, mostPages } = task.parse(workerData);
  const document = await getDocumentProxy(bytes, { maxImageSize: largestImage, stopAtErrors: false });
  const pages = document.numPages;
  const end = Math.min(last, pages, first + mostPages - 1);
  const texts: string[] = [];
  for (let number = first; number <= end; number += 1) {
    const page = await document.getPage(number);
    const { items } = await page.getTextContent();
    texts.push(items.map((item) => ("str" in item ? `${item.str}${item.hasEOL ? "\n" : ""}` : "")).join(""));
    page.cleanup();
  }
  return { type: "text", pages, first, texts };
}

const answer = await extract().catch((error: unknown): PdfAnswer => {
  const name = error instanceof Error ? error.name : "";
  return { type: "unreadable", isLocked: name === "PasswordException" };
});
parentPort?.postMessage(answer);
