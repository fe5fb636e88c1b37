/** The two requests of the loop that no script plays as a step: to sum up the conversation, and to judge an outcome. @module */
import type { TranscriptMessage } from "./model.ts";
import { type Conversation, findScript, type Grade, type Step } from "./script.ts";
import { writeSummary } from "./script-memory.ts";

/** How the loop's requests begin. */
const compactionMark = "<compaction_request>";
const evaluationMark = "<outcome_evaluation_request>";
const iterationLine = /^iteration: (\d{1,6})$/m;
const satisfied: Grade = { result: "satisfied", explanation: "The scripted model has nothing to object." };

/** The answer to such a request, the last thing that the user has said; null for anything else. */
export function answerRequest({ messages }: Conversation): Step | null {
  const last = messages.at(-1);
  if (last?.role !== "user") return null;
  const said = last.content.at(-1);
  if (said?.type !== "text") return null;
  const earlier: TranscriptMessage = { role: "user", content: last.content.slice(0, -1) };
  if (beginsWith(said.text, compactionMark)) return answerCompaction([...messages.slice(0, -1), earlier]);
  if (beginsWith(said.text, evaluationMark)) return answerEvaluation(messages, said.text);
  return null;
}

function beginsWith(text: string, mark: string): boolean {
  return text.split(/\r?\n/, 1)[0] === mark;
}

/** What is summed up is what stands before the request: the steps played there are the position that is remembered. */
function answerCompaction(messages: readonly TranscriptMessage[]): Step {
  const found = findScript({ messages });
  const answers = messages.filter((message) => message.role === "assistant").length;
  const facts = [`It held ${answers} answers.`];
  if (found.type !== "script") return { text: writeSummary(null, facts) };
  return { ...found.compaction, text: writeSummary(found.position, facts) };
}

function answerEvaluation(messages: readonly TranscriptMessage[], request: string): Step {
  const found = findScript({ messages });
  const iteration = Number(iterationLine.exec(request)?.[1] ?? 0);
  const grade = (found.type === "script" ? found.grades[iteration] : undefined) ?? satisfied;
  return { text: JSON.stringify(grade) };
}
