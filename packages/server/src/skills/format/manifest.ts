/**
 * SKILL.md in the Agent Skills format (https://agentskills.io/specification), with the two rules that the Skills API adds
 * to it: reserved words in a name, and no XML tags in a description, which goes into prompts. Pure.
 * @module
 */
import { type Frontmatter, type FrontmatterEntry, type FrontmatterValue, readFrontmatter } from "./frontmatter.ts";
import { quote, type SkillProblem, type SkillRule } from "./problem.ts";
import { splitTools } from "./allowed-tools.ts";

/** Characters. */
export const longestName = 64;
export const longestDescription = 1_024;
const longestCompatibility = 500;
const longestLicense = 500;
/** Of one value of `metadata`. */
const longestMetadata = 4_096;

const reservedWords = ["anthropic", "claude"] as const;
const knownKeys = ["name", "description", "license", "compatibility", "metadata", "allowed-tools"] as const;

export interface SkillManifest {
  readonly name: string;
  readonly description: string;
  readonly license: string | null;
  readonly compatibility: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** Told, never obeyed: what a tool may do is decided by the agent's policy. */
  readonly allowedTools: readonly string[];
}

export interface ManifestReading {
  /** Null when there is a problem. */
  readonly manifest: SkillManifest | null;
  /** In the order of their lines. */
  readonly problems: readonly SkillProblem[];
  /** What is odd and does no harm. */
  readonly notices: readonly SkillProblem[];
}

interface Reader {
  readonly fail: (line: number, rule: SkillRule, message: string) => void;
  readonly tell: (line: number, rule: SkillRule, message: string) => void;
}

/**
 * @param directory That holds the file; null where it is not known yet.
 * @param file How problems name it.
 * @example readManifest("---\nname: review\ndescription: Reviews code.\n---\nRead the diff.", "review").manifest?.name
 */
export function readManifest(text: string, directory: string | null, file = "SKILL.md"): ManifestReading {
  const outcome = readFrontmatter(text, file);
  if (outcome.type === "broken") return { manifest: null, problems: outcome.problems, notices: [] };
  const { frontmatter } = outcome;
  const problems: SkillProblem[] = [];
  const notices: SkillProblem[] = [];
  const reader: Reader = {
    fail: (line, rule, message) => void problems.push({ file, line, rule, message }),
    tell: (line, rule, message) => void notices.push({ file, line, rule, message }),
  };
  const entries = uniqueEntries(frontmatter, reader);
  const manifest: SkillManifest = {
    name: readName(entries.get("name"), directory, reader),
    description: readDescription(entries.get("description"), reader),
    license: readText(entries.get("license"), longestLicense, reader),
    compatibility: readText(entries.get("compatibility"), longestCompatibility, reader),
    metadata: readMetadata(entries.get("metadata"), reader),
    allowedTools: readTools(entries.get("allowed-tools"), reader),
  };
  if (frontmatter.body.trim() === "")
    reader.tell(
      frontmatter.endLine,
      "body-empty",
      "nothing stands below the frontmatter: say there how to do the work.",
    );
  problems.sort((left, right) => (left.line ?? 0) - (right.line ?? 0));
  return { manifest: problems.length === 0 ? manifest : null, problems, notices };
}

function uniqueEntries({ entries }: Frontmatter, reader: Reader): ReadonlyMap<string, FrontmatterEntry> {
  const found = new Map<string, FrontmatterEntry>();
  for (const entry of entries) {
    const first = found.get(entry.key);
    if (first !== undefined) {
      reader.fail(
        entry.line,
        "key-twice",
        `${quote(entry.key)} stands on line ${first.line} already: keep one of them.`,
      );
      continue;
    }
    found.set(entry.key, entry);
    if (!knownKeys.some((key) => key === entry.key)) reader.tell(entry.line, "key-unknown", unknownKey(entry.key));
  }
  return found;
}

function unknownKey(key: string): string {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[^a-z]/g, "");
  const meant = knownKeys.find((known) => plain(known) === plain(key));
  const hint = meant === undefined ? "what is your own belongs under `metadata`" : `write it \`${meant}\``;
  return `${quote(key)} is not a key of the format and means nothing here: ${hint}.`;
}

function readName(entry: FrontmatterEntry | undefined, directory: string | null, { fail }: Reader): string {
  const name = textOf(entry?.value);
  if (entry === undefined || name === "") {
    const like = directory === null ? "name: my-skill" : `name: ${directory}`;
    fail(entry?.line ?? 1, "name-missing", `name is missing: add a line such as \`${like}\`.`);
    return "";
  }
  if (name === null) {
    fail(entry.line, "value-text", "name must be one line of text.");
    return "";
  }
  const problem = nameProblem(name);
  if (problem !== null) fail(entry.line, problem.rule, problem.message);
  else if (directory !== null && name !== directory) {
    const message = `name is ${quote(name)}, but the directory is ${quote(directory)}: both must be the same.`;
    fail(entry.line, "name-directory", message);
  }
  return name;
}

/** What is wrong with a skill's name; null when nothing is. */
export function nameProblem(name: string): { readonly rule: SkillRule; readonly message: string } | null {
  if (!/^[a-z0-9-]+$/.test(name)) {
    const message = `name ${quote(name)} holds other characters than small letters, digits and hyphens (a-z, 0-9, -).`;
    return { rule: "name-characters", message };
  }
  if (name.length > longestName) {
    return { rule: "name-length", message: `name has ${name.length} characters; at most ${longestName} are allowed.` };
  }
  if (/^-|-$|--/.test(name)) {
    const message = `name ${quote(name)} begins or ends with a hyphen, or has two in a row.`;
    return { rule: "name-hyphens", message };
  }
  const word = reservedWords.find((reserved) => name.includes(reserved));
  if (word === undefined) return null;
  return {
    rule: "name-reserved",
    message: `name ${quote(name)} holds the reserved word ${word}: choose another name.`,
  };
}

/** What opens, closes or declares an XML element. */
const xmlTag = /<[/!?]?[A-Za-z][^<>]*>|<!|<\?/;

function readDescription(entry: FrontmatterEntry | undefined, { fail }: Reader): string {
  const description = textOf(entry?.value)?.trim();
  if (entry === undefined || description === "") {
    const message = "description is missing: say what the skill does and when to use it.";
    fail(entry?.line ?? 1, "description-missing", message);
    return "";
  }
  if (description === undefined) {
    fail(entry.line, "value-text", "description must be text, not a list or keys of its own.");
    return "";
  }
  const characters = countCharacters(description);
  if (characters > longestDescription) {
    const message = `description has ${characters} characters; at most ${longestDescription} are allowed.`;
    fail(entry.line, "description-length", message);
  }
  const tag = xmlTag.exec(description)?.[0];
  if (tag !== undefined)
    fail(
      entry.line,
      "description-tags",
      `description holds the XML tag ${quote(tag, 40)}: tags are not allowed in it.`,
    );
  return description;
}

function readText(entry: FrontmatterEntry | undefined, longest: number, { fail }: Reader): string | null {
  if (entry === undefined) return null;
  const text = textOf(entry.value)?.trim();
  if (text === undefined) fail(entry.line, "value-text", `${entry.key} must be text, not a list or keys of its own.`);
  else if (text === "" || countCharacters(text) > longest)
    fail(entry.line, "value-length", `${entry.key} must have 1 to ${longest} characters, or be left out.`);
  return text ?? null;
}

function readMetadata(entry: FrontmatterEntry | undefined, { fail }: Reader): Record<string, string> {
  if (entry === undefined || textOf(entry.value) === "") return {};
  if (entry.value.type !== "map") {
    fail(entry.line, "metadata-mapping", "metadata must be keys with text values, each on a line of its own below it.");
    return {};
  }
  // Without a prototype: a key may be called __proto__.
  const found: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const { key, line, value } of entry.value.entries) {
    const text = textOf(value);
    if (text === null) fail(line, "metadata-mapping", `metadata.${key.slice(0, 80)} must be text; put it in quotes.`);
    else if (text.length > longestMetadata)
      fail(line, "value-length", `metadata.${key.slice(0, 80)} must have at most ${longestMetadata} characters.`);
    else if (key in found)
      fail(line, "key-twice", `metadata.${key.slice(0, 80)} stands there twice: keep one of them.`);
    else found[key] = text;
  }
  return found;
}

function readTools(entry: FrontmatterEntry | undefined, { fail }: Reader): readonly string[] {
  if (entry === undefined) return [];
  const { value } = entry;
  const texts = value.type === "list" ? value.items.map(textOf) : [textOf(value)];
  if (texts.some((text) => text === null)) {
    fail(entry.line, "value-text", "allowed-tools must be names separated by spaces, or a list of names.");
    return [];
  }
  return texts.flatMap((text) => splitTools(text ?? ""));
}

/** Code points, as the format counts. */
function countCharacters(text: string): number {
  return Array.from(text).length;
}

/** Null for what is not text; the empty string where nothing stands. */
function textOf(value: FrontmatterValue | undefined): string | null {
  return value?.type === "text" ? value.text : null;
}
