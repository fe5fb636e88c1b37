/**
 * How a sandbox that only runs commands lists what it holds. GNU's `find` prints everything itself; BusyBox's has no
 * `-printf`, and `stat` does it. The mark is random and begins each entry: no name can look like the next one.
 * @module
 */
import { SandboxFileError } from "@exoloop/sandbox/errors";
import type { EntryKind } from "@exoloop/sandbox/session";
import { storedRoots } from "../../mounts.ts";
import type { CopyEntry } from "../target.ts";
import { defaultMemoryLink } from "../put-back.ts";

/** Seconds within which a copy may have changed twice at what a clock of whole seconds calls one time. */
const blurredSeconds = 2;

const roots = storedRoots.join(" ");
const printed = (mark: string) => `'${mark}%y %s %m %i %C@ %l\\0%p\\0'`;
const told = (mark: string) => `'${mark}%f %s %a %i %Z %n'`;
const hasPrintf = "find / -maxdepth 0 -printf '' 2>/dev/null";

/** Everything below the stored roots. */
export function listCommand(mark: string): string {
  return `printf '%s %s\\0' "$(date +%s)" "$(readlink ${defaultMemoryLink})"
if ${hasPrintf}; then find ${roots} -mindepth 1 -printf ${printed(mark)} 2>/dev/null || true
else find ${roots} -mindepth 1 -exec stat -c ${told(mark)} {} + 2>/dev/null || true; fi`;
}

/** What is at the paths that come on standard input, each ended by NUL. */
export function namedCommand(mark: string): string {
  return `printf '%s \\0' "$(date +%s)"
if ${hasPrintf}; then xargs -0 sh -c 'find "$@" -maxdepth 0 -printf '"'"${printed(mark)}"'"' 2>/dev/null || true' sh
else xargs -0 sh -c 'stat -c '"'"${told(mark)}"'"' "$@" 2>/dev/null || true' sh; fi`;
}

/** @throws SandboxFileError for what is no listing */
export function parseListing(output: Buffer, mark: string): CopyEntry[] {
  const text = output.toString();
  const begin = text.indexOf("\0");
  const [, now, link = ""] = /^(\d+) ?(.*)$/s.exec(text.slice(0, Math.max(0, begin))) ?? [];
  if (now === undefined) throw new SandboxFileError("failed", storedRoots[0], "the sandbox's listing has another form");
  const [, ...entries] = text.slice(begin + 1).split(mark);
  return entries.map((entry) =>
    entry.endsWith("\0") ? parsePrinted(entry) : parseTold(entry.replace(/\n$/, ""), Number(now), link),
  );
}

const letters: Readonly<Record<string, EntryKind>> = { f: "file", d: "directory", l: "symlink" };

function parsePrinted(entry: string): CopyEntry {
  const [, letter = "", size = "0", mode = "0", inode = "", changed = "", rest = ""] =
    /^(\S) (\d+) ([0-7]+) (\d+) (\S+) (.*)$/s.exec(entry) ?? [];
  const [target = "", path = ""] = rest.split("\0");
  const kind = letters[letter] ?? "other";
  return {
    path,
    kind,
    size: Number(size),
    mode: Number.parseInt(mode, 8),
    fingerprint: `${inode}:${size}:${changed}:${mode}`,
    linkTarget: kind === "symlink" ? target : null,
  };
}

const kindsByType: Readonly<Record<number, EntryKind>> = { 0x8: "file", 0x4: "directory", 0xa: "symlink" };
let blurs = 0;

function parseTold(entry: string, now: number, link: string): CopyEntry {
  const [, raw = "0", size = "0", mode = "0", inode = "", changed = "0", path = ""] =
    /^([0-9a-f]+) (\d+) ([0-7]+) (\d+) (\d+) (.*)$/s.exec(entry) ?? [];
  const kind = kindsByType[Number.parseInt(raw, 16) >> 12] ?? "other";
  blurs += 1;
  const blur = kind === "file" && Number(changed) + blurredSeconds > now ? `~${blurs}` : "";
  return {
    path,
    kind,
    size: Number(size),
    mode: Number.parseInt(mode, 8),
    fingerprint: `${inode}:${size}:${changed}:${mode}${blur}`,
    linkTarget: kind === "symlink" ? (path === defaultMemoryLink ? link : "") : null,
  };
}

/** A fingerprint without what sets two looks at a copy apart whose time is not told precisely enough. */
export function withoutBlur(fingerprint: string): string {
  return fingerprint.replace(/~\d+$/, "");
}
