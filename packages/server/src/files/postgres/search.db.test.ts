/** Searching stored files: that the index is used, and that it changes no answer. */
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { organizationMemoryMount as mount } from "../mounts.ts";
import { compileSearchPattern } from "../search-pattern.ts";
import { startSearch } from "../search-request.ts";
import { createPatterns, createRandom } from "../search-testing.ts";
import { FileError, type FileStore, type GrepRequest, type GrepResult } from "../store.ts";
import { encodeText } from "../text.ts";
import { candidateQuery, indexedClauses, namesQuery, preferIndex } from "./search.ts";
import { createStoredFiles } from "./stored-files.ts";
import { actorOf, createTestOrganization } from "./testing.ts";

let test: TestDatabase;
let organizationId: string;
let store: FileStore;
/** By visible path, in the order of paths. */
const texts = new Map<string, string>();

const words = "cat concat abc tab the Cat ÉTÉ été σas 😀 42 a.b (x) caT bat function return needle".split(" ");

beforeAll(async () => {
  test = await createTestDatabase();
  organizationId = await createTestOrganization(test.database);
  const files = createStoredFiles(test.database);
  store = files.open({ organizationId, sessionId: null }, mount);
  const random = createRandom(11);
  for (let number = 0; number < 600; number += 1) {
    const line = () => Array.from({ length: random(6) }, () => words[random(words.length)] ?? "").join(" ");
    const text = Array.from({ length: 1 + random(30) }, line).join(random(4) === 0 ? "\r\n" : "\n");
    const rare = number === 345 ? "\nquixotic beacon" : "";
    texts.set(`${mount.prefix}/${number % 7}/f${String(number).padStart(3, "0")}.md`, `${text}${rare}`);
  }
  // Long enough to be kept apart from their rows, which the planner does not see.
  texts.set(
    `${mount.prefix}/long.txt`,
    `${Array.from({ length: 90_000 }, () => words[random(words.length)] ?? "").join(" ")}\nquixotic end\n`,
  );
  const changes = [...texts].map(([path, text]) => {
    return { type: "put" as const, path, bytes: encodeText(text), executable: false, operation: "write" as const };
  });
  const request = { mount, actor: actorOf(organizationId, null, "import"), paths: [...texts.keys()] };
  await files.commit(request, () => ({ changes, result: null }));
}, 60_000);
afterAll(() => test?.drop());

const requestOf = (request: Partial<GrepRequest>): GrepRequest => {
  return { pattern: "x", path: mount.prefix, ignoreCase: false, maximumMatches: 250, ...request };
};

/** Every text, without an index. */
async function searchAll(request: GrepRequest): Promise<GrepResult> {
  const search = startSearch(request);
  for (const path of [...texts.keys()].sort()) {
    if (search.wants(path) && !(await search.add(path, texts.get(path) ?? ""))) break;
  }
  return search.result();
}

async function planOf(query: ReturnType<typeof candidateQuery | typeof namesQuery>): Promise<string> {
  return test.database.transaction().execute(async (transaction) => {
    await preferIndex(transaction);
    const { rows } = await sql<{ "QUERY PLAN": string }>`explain ${query}`.execute(transaction);
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  });
}

describe("grep", () => {
  it("answers the same with the index as without", async () => {
    const patterns = createPatterns(31);
    const chosen = ["quixotic", "needle|quixotic", "(?i)QUIXOTIC", "fun(ction|c) re", "^return .* needle$", "σas|ÉTÉ"];
    let found = 0;
    for (let round = 0; round < 60; round += 1) {
      const request = requestOf({
        pattern: chosen[round] ?? `(?:${patterns()}).*${words[round % words.length] ?? ""}`,
        ignoreCase: round % 3 === 0,
        mode: (["lines", "files", "counts"] as const)[round % 3] ?? "lines",
        maximumMatches: round % 2 === 0 ? 5_000 : 40,
        ...(round % 5 === 0 ? { glob: "3/*.md" } : {}),
      });
      try {
        const expected = await searchAll(request);
        expect(await store.grep(request), request.pattern).toEqual(expected);
        found += expected.lines.length + expected.files.length > 0 ? 1 : 0;
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
      }
    }
    expect(found).toBeGreaterThan(15);
  });

  it("sees a word that is in the last file alone, and those of one directory", async () => {
    expect((await store.grep(requestOf({ pattern: "quixotic end" }))).lines).toEqual([
      { path: `${mount.prefix}/long.txt`, line: 2, text: "quixotic end", isContext: false },
    ]);
    const inside = requestOf({ pattern: "quixotic", path: `${mount.prefix}/2` });
    expect((await store.grep(inside)).lines.map((line) => line.path)).toEqual([`${mount.prefix}/2/f345.md`]);
  });

  it("finds what was written a moment ago", async () => {
    const path = `${mount.prefix}/zz-new.md`;
    await store.write(path, encodeText("serendipitous\n"), actorOf(organizationId, null), null);
    expect((await store.grep(requestOf({ pattern: "serendipitous" }))).lines).toHaveLength(1);
    await store.remove(path, actorOf(organizationId, null));
    expect((await store.grep(requestOf({ pattern: "serendipitous" }))).lines).toEqual([]);
  });

  it("lets others of the process run", async () => {
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    await store.grep(requestOf({ pattern: "(?:o|r|e)*e.{100}\\p{Greek}{2}", path: `${mount.prefix}/long.txt` }));
    clearInterval(timer);
    expect(turns).toBeGreaterThan(10);
  });
});

describe("plans", () => {
  const candidates = (pattern: string) => {
    const { required } = compileSearchPattern(pattern, { ignoreCase: false, multiline: false });
    const clauses = indexedClauses(required);
    expect(clauses).not.toEqual([]);
    return candidateQuery(
      { organizationId, mount, path: mount.prefix, after: "" },
      { clauses, ignoreCase: required.ignoreCase },
    );
  };

  it.each(["quixotic", "quixotic|needle", "(?i)quixotic", "needle.*quixotic"])(
    "%s is looked up in the trigrams, also while new ones wait to be sorted in",
    async (pattern) => {
      for (const prepare of [sql`vacuum analyze file_texts`, sql`update file_texts set body = body || ' more'`]) {
        await prepare.execute(test.database);
        const plan = await planOf(candidates(pattern));
        expect(plan).toContain("Bitmap Index Scan on file_texts_search");
        expect(plan).not.toContain("Seq Scan on file_texts");
      }
    },
  );

  it("of the search text see no row-level security", async () => {
    const { rows } = await sql<{ relrowsecurity: boolean; policies: number }>`
      select relrowsecurity, (select count(*)::int from pg_policies where tablename = 'file_texts') as policies
      from pg_class where relname = 'file_texts'`.execute(test.database);
    expect(rows).toEqual([{ relrowsecurity: false, policies: 0 }]);
  });

  it("of names read the index alone", async () => {
    await sql`vacuum analyze file_entries`.execute(test.database);
    const plan = await planOf(namesQuery({ organizationId, mount }, mount.prefix));
    expect(plan).toContain("Index Only Scan using file_entries_newest");
    expect(plan).not.toContain("Sort");
  });
});

describe("glob", () => {
  it("names the newest first", async () => {
    const path = `${mount.prefix}/0/aaa-newest.md`;
    await store.write(path, encodeText("x"), actorOf(organizationId, null), null);
    expect((await store.glob(mount.prefix, "**/*.md", 3)).map((match) => match.path)).toEqual([
      path,
      `${mount.prefix}/0/f000.md`,
      `${mount.prefix}/0/f007.md`,
    ]);
    await store.remove(path, actorOf(organizationId, null));
    expect(await store.glob(mount.prefix, "3/f??3.md", 100)).toHaveLength(9);
  });
});
