/** The scripted model across compactions and evaluations. @module */
import { expect, test } from "vitest";
import type { TranscriptMessage } from "./model.ts";
import { createModels } from "./registry.ts";
import { collectAnswer, continueWith, modelRequest, userMessage } from "./testing/model-calls.ts";

const models = createModels({});

function ask(messages: readonly TranscriptMessage[]) {
  return collectAnswer(models, modelRequest({ model: "scripted", messages }));
}

function scriptText(script: unknown): string {
  return `Play this.\n\`\`\`script\n${JSON.stringify(script)}\n\`\`\``;
}

/** Plays so many steps, as the loop would. */
async function play(messages: readonly TranscriptMessage[], steps: number): Promise<readonly TranscriptMessage[]> {
  let transcript = messages;
  for (let step = 0; step < steps; step += 1) {
    transcript = [...transcript, ...continueWith(await ask(transcript), "done")];
  }
  return transcript;
}

/** What the loop makes of a transcript: the user's words and the summary, then what is kept. */
async function compact(transcript: readonly TranscriptMessage[], kept: number): Promise<readonly TranscriptMessage[]> {
  const head = transcript.slice(0, transcript.length - kept);
  const tail = transcript.slice(transcript.length - kept);
  const summary = await ask([...head, userMessage("<compaction_request>\nSum up what has happened.")]);
  expect(summary.text).toMatch(/^Summary of the conversation so far\.\n/);
  expect(summary.finishReason).toBe("stop");
  const said = head
    .flatMap((message) => (message.role === "user" ? message.content : []))
    .filter((part) => part.type !== "text" || !part.text.startsWith("<conversation_summary>"));
  const opening = [
    ...said,
    { type: "text", text: `<conversation_summary>\n${summary.text}\n</conversation_summary>` },
  ] as const;
  const [first, ...rest] = tail;
  return first?.role === "user"
    ? [{ role: "user", content: [...opening, ...first.content] }, ...rest]
    : [{ role: "user", content: opening }, ...tail];
}

const steps = Array.from({ length: 12 }, (_, index) => ({
  text: `Step ${index}.`,
  toolCalls: [{ name: "bash", input: { command: "true" } }],
}));

test.each([0, 2, 4])("goes on after a compaction that keeps %i messages, and after the next ones", async (kept) => {
  let transcript = await play([userMessage("Hi."), userMessage(scriptText(steps))], 5);
  for (const due of [5, 7, 9]) {
    transcript = await compact(transcript, kept);
    expect(transcript.length).toBe(kept + 1);
    expect((await ask(transcript)).text).toBe(`Step ${due}.`);
    transcript = await play(transcript, 2);
  }
});

test("a request that joins the user's last message is one too", async () => {
  const transcript = await play([userMessage(scriptText(steps))], 3);
  const joined: TranscriptMessage = {
    role: "user",
    content: [
      { type: "text", text: "Also this." },
      { type: "text", text: "<compaction_request>\nSum up." },
    ],
  };
  expect((await ask([...transcript, joined])).text).toContain("script position: 3");
});

test("a script that is newer than the summary begins at its first step", async () => {
  const newer = userMessage(scriptText([{ text: "New 0." }, { text: "New 1." }]));
  const transcript = await compact([...(await play([userMessage(scriptText(steps))], 3)), newer], 1);
  expect(transcript.length).toBe(1);
  expect((await ask(transcript)).text).toBe("New 0.");
  expect((await ask(await play(transcript, 1))).text).toBe("New 1.");
});

test("without a script there is a summary too, and nothing to go on with", async () => {
  const transcript = await compact(await play([userMessage("Hi.")], 1), 0);
  expect((await ask(transcript)).text).toContain("You said: ");
});

test("only a line of its own is a request", async () => {
  const answer = await ask([
    userMessage(scriptText([{ text: "A step." }])),
    userMessage("What is <compaction_request>?"),
  ]);
  expect(answer.text).toBe("A step.");
  expect((await ask([userMessage("<compaction_request> now")])).text).toContain("You said: ");
});

test("a summary may fail, and have figures, as the script says", async () => {
  const usage = { input: 900, output: 30 };
  const script = { steps, compaction: { usage, fault: { kind: "server_error" } } };
  const transcript = [
    ...(await play([userMessage(scriptText(script))], 1)),
    userMessage("<compaction_request>\nSum up."),
  ];
  await expect(ask(transcript)).rejects.toMatchObject({ kind: "unavailable" });
  const summary = await ask(transcript);
  expect(summary.text).toContain("script position: 1");
  expect(summary.usage).toMatchObject({ ...usage, estimated: false });
});

test("an overflow lasts until the conversation has been compacted", async () => {
  const script = [...steps.slice(0, 2), { text: "Fits now.", fault: { kind: "context_overflow" } }];
  const transcript = await play([userMessage(scriptText(script))], 2);
  for (const attempt of [1, 2]) {
    const failed = ask(transcript);
    await expect(failed, `attempt ${attempt}`).rejects.toMatchObject({ kind: "context_overflow", usage: { input: 0 } });
  }
  expect((await ask(await compact(transcript, 2))).text).toBe("Fits now.");
});

const grades = [
  { result: "needs_revision", explanation: "A test is missing." },
  { result: "failed", explanation: "" },
];

test.each([
  [0, grades[0]],
  [1, grades[1]],
  [2, { result: "satisfied", explanation: expect.any(String) as string }],
])("evaluation %i", async (iteration, expected) => {
  const request = `<outcome_evaluation_request>\niteration: ${iteration}\n\nRubric: it works.`;
  const transcript = await play([userMessage(scriptText({ steps, grades }))], 2);
  const answer = await ask([...transcript, userMessage(request)]);
  expect(JSON.parse(answer.text)).toEqual(expected);
  // Where the grader sees the conversation as a text in the request.
  const whole = await ask([userMessage(`${request}\n\n${scriptText({ steps, grades })}`)]);
  expect(JSON.parse(whole.text)).toEqual(expected);
});

test("every scripted model answers both requests; without grades it is satisfied", async () => {
  const messages = [userMessage("<outcome_evaluation_request>\niteration: 0")];
  const graded = await collectAnswer(models, modelRequest({ model: "scripted/repair", messages }));
  expect(JSON.parse(graded.text)).toMatchObject({ result: "satisfied" });
  const compaction = [userMessage("Repair it."), userMessage("<compaction_request>\nSum up.")];
  const summed = await collectAnswer(models, modelRequest({ model: "scripted/repair", messages: compaction }));
  expect(summed.text).toMatch(/^Summary of the conversation so far\.\n/);
});

test.each([
  [{ steps: [] }, "at steps: "],
  [{ steps, grades: [{ result: "perhaps" }] }, "at grades.0.result: "],
  [{ steps, rubric: "x" }, "rubric"],
])("says what is wrong with %j", async (script, problem) => {
  const answer = await ask([userMessage(scriptText(script))]);
  expect(answer.text).toContain("The script is not valid.");
  expect(answer.text).toContain(problem);
});
