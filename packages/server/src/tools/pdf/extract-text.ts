/** The text of a PDF, page by page, within bounds of time and memory. @module */
import { Worker } from "node:worker_threads";

export type PdfAnswer =
  | { readonly type: "text"; readonly pages: number; readonly first: number; readonly texts: readonly string[] }
  | { readonly type: "unreadable"; readonly isLocked: boolean }
  /** It took more time or memory than it may. */
  | { readonly type: "too_costly" };

/** Pages of one answer. */
export const mostPages = 20;
const heapMegabytes = 256;

interface Limits {
  readonly timeoutMs: number;
  /** Bytes by which the whole process may grow meanwhile: what a stream unpacks to is in no heap. */
  readonly growth: number;
}

const usualLimits: Limits = { timeoutMs: 15_000, growth: 512 * 1024 * 1024 };
const growthIntervalMs = 50;
/** Threads at the same time; others wait. */
const mostThreads = 2;

let running = 0;
const waiting: (() => void)[] = [];

/**
 * @param range Pages, from 1; no more than {@link mostPages} of them are read.
 * @example await extractPdfText(bytes, { first: 1, last: 3 })
 */
export async function extractPdfText(
  bytes: Uint8Array,
  range: { readonly first: number; readonly last: number },
  limits: Limits = usualLimits,
): Promise<PdfAnswer> {
  if (running >= mostThreads) await new Promise<void>((resolve) => waiting.push(resolve));
  running += 1;
  try {
    return await runWorker(bytes, range, limits);
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

async function runWorker(bytes: Uint8Array, range: object, limits: Limits): Promise<PdfAnswer> {
  const worker = new Worker(new URL("./pdf-worker.ts", import.meta.url), {
    workerData: { bytes, mostPages, ...range },
    // It needs nothing of this process, least of all its secrets.
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
    stdout: true,
    stderr: true,
  });
  const before = process.memoryUsage.rss();
  let timer: NodeJS.Timeout | undefined;
  let growth: NodeJS.Timeout | undefined;
  try {
    return await new Promise<PdfAnswer>((resolve) => {
      timer = setTimeout(() => resolve({ type: "too_costly" }), limits.timeoutMs);
      worker.once("message", (answer: PdfAnswer) => resolve(answer));
      growth = setInterval(() => {
        if (process.memoryUsage.rss() - before > limits.growth) resolve({ type: "too_costly" });
      }, growthIntervalMs);
      // A thread without memory ends with an error; one that ended has nothing more to say.
      worker.once("error", () => resolve({ type: "too_costly" }));
      worker.once("exit", () => resolve({ type: "too_costly" }));
    });
  } finally {
    clearTimeout(timer);
    clearInterval(growth);
    await worker.terminate();
  }
}
