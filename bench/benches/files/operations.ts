/** What every store of files is asked to do, and the times it takes. @module */
import type { Contender } from "./contender.ts";
import { type Corpus, createRandom } from "./corpus.ts";

export interface Operation {
  readonly id: string;
  /** How many samples, of as many as a search takes. */
  readonly times: number;
  /** The result must be this, of every store: a fast wrong answer is none. */
  readonly expected: number | null;
  run(contender: Contender, round: number): Promise<number>;
}

const mostLines = 250;
/** No literal, and nothing matches: every character of every file is looked at. */
export const worstPattern = "[a-z]{3}[0-9]{5}[A-Z]";

/**
 * @param rounds For how many rounds there are files to edit; a round edits a file that no other does.
 * @param searches How often each search is made.
 */
export function createOperations(corpus: Corpus, rounds: number, searches: number): readonly Operation[] {
  const random = createRandom(corpus.files.length);
  const pick = () => corpus.files[Math.floor(random() * corpus.files.length)] ?? { path: "", text: "" };
  const picked = Array.from({ length: rounds }, pick);
  const text = pick().text;
  const edits = findEdits(corpus, rounds);
  const grep = (id: string, pattern: string, expected: number): Operation => {
    return { id, times: searches, expected, run: (contender) => contender.grep(pattern, mostLines) };
  };
  const wide = corpus.files.filter((file) => file.path.startsWith(`${corpus.thousand}/`)).length;
  const numbered = corpus.files.filter((file) => /[^/]*-77[^/]*\.go$/.test(file.path)).length;
  return [
    {
      id: "read",
      times: rounds,
      expected: null,
      run: async (contender, round) => (await contender.read(picked[round]?.path ?? "")).length,
    },
    {
      id: "write",
      times: rounds,
      expected: 0,
      run: async (contender, round) => contender.write(`new/${round}.md`, `${round}\n${text}`).then(() => 0),
    },
    {
      id: "edit",
      times: rounds,
      expected: 0,
      async run(contender, round) {
        const { path, line } = edits[round] ?? { path: "", line: "" };
        await contender.edit(path, line, `${line} and more`);
        return 0;
      },
    },
    { id: "list_1000", times: searches, expected: wide, run: (contender) => contender.list(corpus.thousand) },
    { id: "glob_10k", times: searches, expected: numbered, run: (contender) => contender.glob("-77", ".go") },
    grep("grep_rare", corpus.rare.word, corpus.rare.files),
    grep("grep_100", corpus.hundred.word, corpus.hundred.files),
    grep("grep_common", corpus.common, mostLines),
    grep("grep_worst", worstPattern, 0),
  ];
}

/** Files with a line that they hold once. */
function findEdits(corpus: Corpus, count: number): readonly { readonly path: string; readonly line: string }[] {
  const found = [];
  const step = Math.max(1, Math.floor(corpus.files.length / (2 * count)));
  for (let number = 0; number < corpus.files.length && found.length < count; number += step) {
    const { path, text } = corpus.files[number] ?? { path: "", text: "" };
    const line = text.split("\n").find((each) => each.length > 20 && text.split(each).length === 2);
    if (line !== undefined) found.push({ path, line });
  }
  if (found.length < count) throw new Error(`the corpus has ${found.length} files to edit, and ${count} are wanted`);
  return found;
}

/**
 * Times in milliseconds. In turns, so that what else the machine does meets all of them alike.
 * @param patience No further round begins after so many milliseconds; there is always one.
 */
export async function measureOperation(
  operation: Operation,
  contenders: readonly Contender[],
  { times = operation.times, patience = Infinity }: { readonly times?: number; readonly patience?: number } = {},
): Promise<ReadonlyMap<Contender, readonly number[]>> {
  const samples = new Map<Contender, number[]>(contenders.map((contender) => [contender, []]));
  const begin = performance.now();
  for (let round = 0; round < times; round += 1) {
    if (round > 0 && performance.now() - begin > patience) break;
    for (const [contender, own] of samples) {
      const start = performance.now();
      const result = await operation.run(contender, round);
      own.push(performance.now() - start);
      if (operation.expected !== null && result !== operation.expected) {
        throw new Error(`${contender.name} answered ${operation.id} with ${result}, not ${operation.expected}`);
      }
    }
  }
  return samples;
}
