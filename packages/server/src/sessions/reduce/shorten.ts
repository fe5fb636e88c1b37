/** Results that are cut in the transcript; their full text stays in the log, and readable under /history. Pure. @module */
import { historyDirectory } from "../../files/path.ts";
import type { TranscriptContent } from "../../models/model.ts";

/**
 * Texts of more characters keep their beginning and end; images and shorter texts stay as they are.
 * @param toolUseId Names the file that holds the full text; absent where there is none.
 */
export function shortenContent(
  content: readonly TranscriptContent[],
  maximum: number,
  toolUseId: string | undefined,
): readonly TranscriptContent[] {
  return content.map((part) => (part.type === "text" ? shorten(part, maximum, toolUseId) : part));
}

/** Bounds all texts of a result together: above the maximum they become one, and images stay. */
export function boundContent(
  content: readonly TranscriptContent[],
  maximum: number,
  toolUseId: string,
): readonly TranscriptContent[] {
  const texts = content.flatMap((part) => (part.type === "text" ? [part.text] : []));
  if (texts.reduce((sum, text) => sum + text.length, 0) <= maximum) return content;
  const whole = { type: "text", text: texts.join("\n") } as const;
  return [shorten(whole, maximum, toolUseId), ...content.filter((part) => part.type !== "text")];
}

function shorten(
  part: Extract<TranscriptContent, { type: "text" }>,
  maximum: number,
  toolUseId: string | undefined,
): TranscriptContent {
  if (part.text.length <= maximum) return part;
  const half = Math.floor(maximum / 2);
  const where = toolUseId === undefined ? "" : ` What was shown before is in ${historyDirectory}/${toolUseId}.txt.`;
  const missing = part.text.length - 2 * half;
  const head = part.text.slice(0, half).replace(/[\ud800-\udbff]$/, "");
  const tail = part.text.slice(-half).replace(/^[\udc00-\udfff]/, "");
  return { type: "text", text: `${head}\n\n[… ${missing} characters left out.${where} …]\n\n${tail}` };
}
