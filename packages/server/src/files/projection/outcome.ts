/** What follows from each verdict: in the baseline, on the disk, in what the session knows, and in words. @module */
import { relativePath, workspaceDirectory } from "../path.ts";
import { encodeText } from "../text.ts";
import type { Capture } from "./capturing.ts";
import { explain } from "./report.ts";
import type { ChangedCopy, Verdict } from "./settle.ts";

interface Outcome {
  readonly changed: readonly ChangedCopy[];
  readonly versions: ReadonlyMap<string, number>;
}

export async function carryOut(
  capturing: Capture,
  verdicts: readonly Verdict[],
  { changed, versions }: Outcome,
): Promise<void> {
  const copies = new Map(changed.map((copy) => [copy.path, copy]));
  const names = await namesIn(capturing, verdicts);
  for (const verdict of verdicts) {
    const { path } = verdict;
    const copy = copies.get(path);
    if (verdict.type !== "equal" && !(verdict.type === "merged" && verdict.again)) capturing.mentioned.add(path);
    if (copy !== undefined) await carryOutCopy(capturing, verdict, copy, versions.get(path) ?? 0, names);
    else carryOutName(capturing, verdict, names);
  }
  await noteKnown(capturing, verdicts, copies, versions);
}

type Names = ReadonlyMap<string, string>;

async function namesIn({ dependencies }: Capture, verdicts: readonly Verdict[]): Promise<Names> {
  const users = verdicts.flatMap((verdict) =>
    verdict.type === "conflict" || verdict.type === "kept" || verdict.type === "merged" ? [verdict.head.userId] : [],
  );
  return dependencies.files.projections.namesOf(dependencies.organizationId, users);
}

async function carryOutCopy(
  capturing: Capture,
  verdict: Verdict,
  copy: ChangedCopy,
  version: number,
  names: Names,
): Promise<void> {
  const { copies, lines, laying } = capturing;
  const { path, sha256, executable, fingerprint, bytes } = copy;
  const base = copy.base?.version ?? null;
  switch (verdict.type) {
    case "saved":
      copies.files.set(path, { version, sha256, size: bytes.length, executable, fingerprint });
      lines.push(verdict.hadVanished ? explain.restored(path, version) : explain.saved(path, base, version));
      return;
    case "equal": {
      const { head } = verdict;
      copies.files.set(path, { version: head.version, sha256, size: head.size, executable, fingerprint });
      return;
    }
    case "merged":
      copies.files.delete(path);
      if (!verdict.again) lines.push(explain.merged(path, base, version, explain.who(verdict.head, names)));
      return;
    case "conflict": {
      const { head } = verdict;
      laying.files.set(path, { copies, file: head });
      const kept = await keepCopy(capturing, path, bytes);
      lines.push(explain.conflict(path, base, head, explain.who(head, names), kept));
      return;
    }
    default:
  }
}

function carryOutName({ copies, lines, laying }: Capture, verdict: Verdict, names: Names): void {
  const { path } = verdict;
  if (verdict.type === "made") lines.push(explain.made(path));
  if (verdict.type === "deleted") lines.push(explain.deleted(path));
  if (verdict.type !== "kept") return;
  laying.files.set(path, { copies, file: verdict.head });
  lines.push(explain.keptAgainstDeletion(path, verdict.head, explain.who(verdict.head, names)));
}

/** What a command created alone, its session knows; what it changed, it knows if it knew what was there before. */
async function noteKnown(
  { copies, dependencies }: Capture,
  verdicts: readonly Verdict[],
  changed: ReadonlyMap<string, ChangedCopy>,
  versions: ReadonlyMap<string, number>,
): Promise<void> {
  const { organizationId, sessionId, files } = dependencies;
  const made = new Map<string, number>();
  for (const { type, path } of verdicts) {
    const version = versions.get(path);
    if (type === "saved" && changed.get(path)?.base === null && version !== undefined) made.set(path, version);
  }
  if (made.size > 0) await files.markKnown(organizationId, sessionId, copies.mount, made);
}

/** The loser's text beside the work. Null when the workspace takes no file: the history has it in any case. */
export async function keepCopy(
  { target, toolUseId }: Pick<Capture, "target" | "toolUseId">,
  path: string,
  bytes: Uint8Array,
): Promise<string | null> {
  const directory = `${workspaceDirectory}/.conflicts`;
  const copy = `${directory}/${toolUseId ?? "background"}/${relativePath("/memory", path)}`;
  try {
    await target.pull([
      { type: "file", path: `${directory}/.gitignore`, bytes: encodeText("*\n"), mode: 0o644 },
      { type: "file", path: copy, bytes, mode: 0o644 },
    ]);
    return copy;
  } catch {
    return null;
  }
}
