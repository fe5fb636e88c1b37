/**
 * Compaction: the head of the transcript is replaced by what the user said and a summary of what was done. Tool results
 * that are cut here stay readable under /history. Pure.
 * @module
 */
import type { TranscriptContent, TranscriptMessage } from "../../models/model.ts";
import type { SessionState } from "../state.ts";
import { readNumber, type Reducers } from "./fields.ts";
import { shortenContent } from "./shorten.ts";

/** Characters of what the user said that a compaction keeps word for word where its record names no number. */
const keptUserCharacters = 40_000;
/** Characters of a tool result in the messages that are kept. */
const keptResultCharacters = 4_000;

const summaryTag = "conversation_summary";

export const compactionReducers: Reducers = {
  "agent.thread_context_compacted": (state, _data, record): SessionState => ({
    ...state,
    transcript: compactTranscript(
      state.transcript,
      String(record["summary"]),
      readNumber(record["kept"]),
      readNumber(record["user_characters"]) || keptUserCharacters,
    ),
    context: { tokens: 0, messages: 0 },
    compactionsInARow: state.compactionsInARow + 1,
    modelFailure: null,
  }),
};

/**
 * @param kept How many messages at the end stay; the first of them is not a tool's.
 * @param userCharacters How much of what the user said stays word for word, the latest first.
 * @example compactTranscript(transcript, "The test was repaired.", 2)
 */
export function compactTranscript(
  transcript: readonly TranscriptMessage[],
  summary: string,
  kept: number,
  userCharacters: number = keptUserCharacters,
): readonly TranscriptMessage[] {
  const head = transcript.slice(0, transcript.length - kept);
  const tail = transcript.slice(transcript.length - kept).map(shortenResults);
  const said = keepLatest(head.flatMap(saidByUser), userCharacters);
  const opening: TranscriptContent[] = [
    ...said,
    { type: "text", text: `<${summaryTag}>\n${summary}\n</${summaryTag}>` },
  ];
  const [first, ...rest] = tail;
  if (first?.role === "user") return [{ role: "user", content: [...opening, ...first.content] }, ...rest];
  return [{ role: "user", content: opening }, ...tail];
}

/** Not what the loop wrote in the user's name: an earlier summary is part of the new one. */
function saidByUser(message: TranscriptMessage): readonly TranscriptContent[] {
  if (message.role !== "user") return [];
  return message.content.filter(
    (part) => part.type !== "text" || !/^<(conversation_summary|outcome_evaluation)>/.test(part.text),
  );
}

function keepLatest(content: readonly TranscriptContent[], characters: number): readonly TranscriptContent[] {
  let rest = characters;
  const kept: TranscriptContent[] = [];
  for (const part of content.toReversed()) {
    if (part.type !== "text") continue;
    if (rest <= 0) break;
    const [shortened] = shortenContent([part], rest, undefined);
    if (shortened !== undefined) kept.unshift(shortened);
    rest -= part.text.length;
  }
  const missing = content.length - kept.length;
  if (missing === 0) return kept;
  const images = content.filter((part) => part.type === "image").length;
  const among = images === 0 ? "" : `, among them ${images} images`;
  return [{ type: "text", text: `[${missing} earlier parts of the user's messages are left out${among}.]` }, ...kept];
}

function shortenResults(message: TranscriptMessage): TranscriptMessage {
  if (message.role !== "tool") return message;
  const results = message.results.map((result) => ({
    ...result,
    content: shortenContent(result.content, keptResultCharacters, result.toolUseId),
  }));
  return { ...message, results };
}
