/** What the watch does about adapters that do not behave, and about models that think. @module */
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { ModelError, type ModelAdapter, type ModelStreamPart, type SignOfLife } from "./model.ts";
import { createModels } from "./registry.ts";
import { collectAnswer, modelRequest, userMessage } from "./testing/model-calls.ts";
import { watchStream } from "./watch-stream.ts";

type Played = ModelStreamPart | SignOfLife | number | Error;

const finish: ModelStreamPart = {
  type: "finish",
  content: [],
  usage: { input: 1, output: 1, cacheRead: 0, cacheWrite: 0, estimated: false },
  finishReason: "stop",
};

/** Plays parts; a number is a pause in milliseconds that knows no abort. */
function adapter(played: readonly Played[]): ModelAdapter["stream"] {
  return async function* play() {
    for (const part of played) {
      if (part instanceof Error) throw part;
      if (typeof part === "number") await sleep(part);
      else yield part;
    }
  };
}

function watch(played: readonly Played[], limits = { firstPartMs: 1000, nextPartMs: 1000 }, signal?: AbortSignal) {
  const request = modelRequest({ model: "any", ...(signal === undefined ? {} : { abortSignal: signal }) });
  return Array.fromAsync(watchStream(adapter(played), request, limits));
}

const sign = (characters: number): SignOfLife => ({ type: "sign_of_life", characters });

test("signs of life go no further, and keep a slow model alive", async () => {
  const parts = await watch([40, sign(0), 40, sign(0), 40, sign(0), 40, finish], { firstPartMs: 100, nextPartMs: 10 });
  expect(parts).toEqual([finish]);
});

test("a thought may be longer than a pause in an answer", async () => {
  const limits = { firstPartMs: 1000, nextPartMs: 50 };
  const thought: Played[] = [{ type: "thinking_start" }, 150, { type: "thinking_end" }];
  const said: Played[] = [{ type: "text_start" }, { type: "text_delta", text: "Hm." }, { type: "text_end" }];
  expect((await watch([...said, ...thought, ...said, finish], limits)).at(-1)).toEqual(finish);
  await expect(watch([...said, 150, finish], limits)).rejects.toMatchObject({
    kind: "unavailable",
    message: expect.stringContaining("0.05 seconds within its answer") as string,
  });
});

test("an adapter that knows no abort is left", async () => {
  const abort = new AbortController();
  const started = performance.now();
  const failed = watch([{ type: "text_start" }, 3000, finish], undefined, abort.signal);
  setTimeout(() => abort.abort(), 20);
  await expect(failed).rejects.toMatchObject({ kind: "aborted", usage: { output: 0, estimated: true } });
  expect(performance.now() - started).toBeLessThan(2000);
});

test("what is aborted before it begins is not asked", async () => {
  let asked = false;
  const stream: ModelAdapter["stream"] = async function* ask() {
    asked = true;
    yield finish;
  };
  const request = modelRequest({ model: "any", abortSignal: AbortSignal.abort() });
  const failed = Array.fromAsync(watchStream(stream, request, { firstPartMs: 1000, nextPartMs: 1000 }));
  await expect(failed).rejects.toMatchObject({ kind: "aborted", usage: { input: 0 } });
  expect(asked).toBe(false);
});

test("counts texts, names of calls, and what nobody is told of", async () => {
  const failure = new ModelError("unavailable", "Cut.", 70);
  const parts: Played[] = [
    sign(100),
    { type: "text_start" },
    { type: "text_delta", text: "x".repeat(40) },
    { type: "tool_call_start", toolName: "bash" },
    sign(56),
    failure,
  ];
  await expect(watch(parts)).rejects.toMatchObject({
    kind: "unavailable",
    message: "Cut.",
    retryAfterMs: 70,
    usage: { output: 50, estimated: true },
  });
});

test("a refusal without an answer is not charged, other failures of an accepted request are", async () => {
  await expect(watch([sign(0), new ModelError("overloaded", "No.")])).rejects.toMatchObject({ usage: { input: 0 } });
  await expect(watch([sign(0), new ModelError("unavailable", "No.")])).rejects.toMatchObject({
    usage: { input: 42, output: 0 },
  });
  await expect(watch([new ModelError("unavailable", "No.")])).rejects.toMatchObject({ usage: { input: 0 } });
  await expect(watch([new TypeError("A mistake of ours.")])).rejects.toMatchObject({
    kind: "unavailable",
    message: "The model call failed.",
  });
});

test("the scripted model hangs until the limit, or until somebody interrupts", async () => {
  const models = createModels({ silence: { firstPartMs: 50, nextPartMs: 50 } });
  const steps = JSON.stringify([{ text: "At last.", fault: { kind: "timeout" } }]);
  const request = modelRequest({ model: "scripted", messages: [userMessage(`\`\`\`script\n${steps}\n\`\`\``)] });
  await expect(collectAnswer(models, request)).rejects.toMatchObject({ kind: "unavailable", retryable: true });
  expect((await collectAnswer(models, request)).text).toBe("At last.");
  const abort = new AbortController();
  const failed = collectAnswer(createModels({}), { ...request, abortSignal: abort.signal });
  setTimeout(() => abort.abort(), 20);
  await expect(failed).rejects.toMatchObject({ kind: "aborted" });
});

test("a limit keeps no process alive", () => {
  const program = `
    import { watchStream } from ${JSON.stringify(new URL("watch-stream.ts", import.meta.url).href)};
    const stream = async function* () { await new Promise(() => {}); };
    const request = { model: "any", system: "", messages: [], tools: [], abortSignal: new AbortController().signal };
    void watchStream(stream, request, { firstPartMs: 60_000, nextPartMs: 60_000 }).next();`;
  const ended = spawnSync(process.execPath, ["--input-type=module", "-e", program], { timeout: 20_000 });
  expect(ended.error).toBeUndefined();
  expect(ended.signal).toBeNull();
});
