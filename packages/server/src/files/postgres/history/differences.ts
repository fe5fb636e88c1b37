/** What differs between two versions of a file, or between a mount then and later: unified diffs. @module */
import { createTwoFilesPatch } from "diff";
import type { Kysely } from "kysely";
import type { Tables } from "../../../db/tables.ts";
import type { StoredMount } from "../../mounts.ts";
import { isWithin } from "../../path.ts";
import { FileError } from "../../store.ts";
import { decodeText } from "../../text.ts";
import { filesAtRevision, type PastFile, readContents } from "../rows.ts";
import { type PointInTime, readVersion, revisionAt } from "./versions.ts";

export interface FileDifference {
  readonly path: string;
  readonly change: "added" | "removed" | "changed";
  /** Unified, with three lines of context; null where there are no two texts to compare, as `unshown` says. */
  readonly diff: string | null;
  readonly unshown: "binary" | "redacted" | "too_large" | null;
}

export interface Differences {
  readonly from: number;
  readonly to: number;
  readonly files: readonly FileDifference[];
  /** Names of further files that differ, beyond those that are shown. */
  readonly further: readonly string[];
}

const contextLines = 3;
/** Milliseconds for one comparison; two texts without a line in common take time in the square of their length. */
const patience = 500;
const mostFiles = 100;
/** Bytes of all contents that one request compares. */
const mostBytes = 16 * 1024 * 1024;

/**
 * @throws FileError `not_found`, `failed` where one of them has no text to compare
 * @returns The unified diff; empty when they are equal.
 */
export async function diffVersions(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  fromId: string | null,
  toId: string,
): Promise<string> {
  const sides = [];
  for (const id of [fromId, toId]) {
    if (id === null) {
      sides.push({ text: "", path: "/dev/null", label: "nothing" });
      continue;
    }
    const { version, bytes } = await readVersion(database, organizationId, mount, id);
    const text = version.kind === "absent" ? "" : bytes === null ? null : decodeText(bytes);
    if (text === null) {
      const why = version.redactedAt === null ? "no text" : "been redacted";
      throw new FileError("failed", `Version ${version.version} of ${version.path} has ${why}: there is no diff.`);
    }
    sides.push({ text, path: version.path, label: `version ${version.version}` });
  }
  const [left, right] = sides;
  if (left === undefined || right === undefined) throw new Error("two versions were asked for");
  const diff = unified(left, right);
  if (diff === null) throw new FileError("too_large", `${right.path} differs too much: the diff would take too long.`);
  return diff;
}

interface Side {
  readonly path: string;
  readonly text: string;
  readonly label: string;
}

/** Null: it takes too long. */
function unified(left: Side, right: Side): string | null {
  if (left.text === right.text && left.path === right.path) return "";
  const options = { context: contextLines, timeout: patience };
  const patch = createTwoFilesPatch(left.path, right.path, left.text, right.text, left.label, right.label, options);
  return patch?.replace(/^(Index: [^\n]*\n)?=+\n/, "") ?? null;
}

/** @param path Only what is at or below it. */
export async function diffRevisions(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  points: { readonly from: PointInTime; readonly to: PointInTime },
  path: string = mount.prefix,
): Promise<Differences> {
  const [from, to] = await Promise.all(
    [points.from, points.to].map((point) => revisionAt(database, organizationId, mount, point)),
  );
  const [before, after] = await Promise.all(
    [from ?? 0, to ?? 0].map(async (revision) => {
      const files = await filesAtRevision(database, organizationId, mount, revision);
      const inside = files.filter((file) => file.kind === "file" && (path === "" || isWithin(path, file.path)));
      return new Map(inside.map((file) => [file.path, file]));
    }),
  );
  const pairs = pairUp(before ?? new Map(), after ?? new Map());
  const shown = await takeShown(database, organizationId, pairs);
  const files = shown.pairs.map((pair) => compare(pair, shown.contents, [from ?? 0, to ?? 0]));
  return { from: from ?? 0, to: to ?? 0, files, further: pairs.slice(files.length).map((pair) => pair.path) };
}

interface Pair {
  readonly path: string;
  readonly left: PastFile | undefined;
  readonly right: PastFile | undefined;
}

function pairUp(before: ReadonlyMap<string, PastFile>, after: ReadonlyMap<string, PastFile>): readonly Pair[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return paths.flatMap((path) => {
    const [left, right] = [before.get(path), after.get(path)];
    return left?.sha256 === right?.sha256 && left?.executable === right?.executable ? [] : [{ path, left, right }];
  });
}

async function takeShown(database: Kysely<Tables>, organizationId: string, pairs: readonly Pair[]) {
  const contents = new Map<string, Uint8Array>();
  const shown: Pair[] = [];
  let bytes = 0;
  for (const pair of pairs.slice(0, mostFiles)) {
    if (bytes > mostBytes) break;
    const hashes = [pair.left, pair.right].flatMap((file) => file?.sha256 ?? []);
    for (const [sha256, content] of await readContents(database, organizationId, hashes)) {
      contents.set(sha256, content);
      bytes += content.length;
    }
    shown.push(pair);
  }
  return { pairs: shown, contents };
}

function compare(
  { path, left, right }: Pair,
  contents: ReadonlyMap<string, Uint8Array>,
  revisions: readonly [number, number],
): FileDifference {
  const change = left === undefined ? "added" : right === undefined ? "removed" : "changed";
  const texts: string[] = [];
  for (const file of [left, right]) {
    const bytes = file?.sha256 == null ? new Uint8Array() : file.redacted ? undefined : contents.get(file.sha256);
    if (bytes === undefined) return { path, change, diff: null, unshown: "redacted" };
    const text = decodeText(bytes);
    if (text === null) return { path, change, diff: null, unshown: "binary" };
    texts.push(text);
  }
  const label = (index: 0 | 1) => `revision ${revisions[index]}`;
  const diff = unified(
    { path, text: texts[0] ?? "", label: label(0) },
    { path, text: texts[1] ?? "", label: label(1) },
  );
  return { path, change, diff, unshown: diff === null ? "too_large" : null };
}
