/** The changes that take a session's changes back. Looks at nothing but what it is given. @module */
import { createId } from "@exoloop/protocol/ids";
import { createTurns } from "../../search-request.ts";
import { encodeText } from "../../text.ts";
import { isWithin } from "../../path.ts";
import { type FileChange, inOrder, type MoveChange } from "../change.ts";
import { type FileState, sameState, withoutSession } from "./lineage.ts";
import type { LoadedLineages } from "./lineages.ts";

export interface UndonePath {
  readonly path: string;
  /** `put_back`: as it was before. `merged`: what others have changed since is in it. */
  readonly change: "put_back" | "merged" | "deleted" | "moved_back" | "directory_made" | "directory_removed";
}

/** What could not be undone, and why. */
export interface KeptPath {
  readonly path: string;
  readonly reason: string;
}

/** What belongs together: all of it or nothing. */
export interface PlannedUndo {
  readonly path: string;
  readonly changes: readonly FileChange[];
  readonly told: readonly UndonePath[];
}

export interface UndoPlan {
  readonly parts: readonly PlannedUndo[];
  readonly kept: readonly KeptPath[];
}

/** Others run meanwhile: merging may take long. */
export async function planUndo(lineages: LoadedLineages): Promise<UndoPlan> {
  const turns = createTurns();
  const kept: KeptPath[] = [];
  const files: PlannedFile[] = [];
  for (const file of lineages.files) {
    await turns.next();
    const outcome = withoutSession(file.steps, file.head, lineages.textOf);
    const { state } = outcome;
    if (outcome.kept !== null) kept.push({ path: state?.path ?? file.path, reason: outcome.kept });
    if (outcome.text === null && sameState(state, file.head)) continue;
    const bytes = outcome.text !== null ? encodeText(outcome.text) : state && lineages.bytesOf(state.sha256);
    if (state !== null && !bytes) {
      kept.push({ path: state.path, reason: "its content from before has been redacted" });
      continue;
    }
    files.push(planFile(file.head, state, bytes ?? null, { merged: outcome.text !== null, memoryId: file.memoryId }));
  }
  const directories = planDirectories(lineages.directories);
  const nested = new Map(files.flatMap((file) => leaveDirectory(file, directories) ?? []));
  const removed = new Set(
    [...nested.values()].flatMap((part) => part.changes.filter(isRemoval).map(({ path }) => path)),
  );
  const others = inMovingOrder(files.filter((file) => !nested.has(file)));
  return { parts: [...others, ...nested.values(), ...directories.filter(({ path }) => !removed.has(path))], kept };
}

function isRemoval({ type }: FileChange): boolean {
  return type === "remove_directory";
}

/**
 * A file that was moved into a directory of its own former name goes aside while the directory is removed. Null for any
 * other.
 */
function leaveDirectory(
  file: PlannedFile,
  directories: readonly PlannedUndo[],
): readonly (readonly [PlannedFile, PlannedUndo])[] | null {
  const { move } = file;
  if (move === null || !isWithin(move.to, move.path)) return null;
  const removals = directories.filter((part) => isWithin(move.to, part.path) && part.changes.every(isRemoval));
  const aside = `${move.to}.undo`;
  const part = {
    path: file.path,
    changes: [
      { ...move, to: aside },
      ...inOrder(removals.flatMap((removal) => removal.changes)),
      { ...move, path: aside },
      ...file.changes.filter((change) => change !== move),
    ],
    told: [...file.told, ...removals.flatMap((removal) => removal.told)],
  };
  return [[file, part]];
}

interface PlannedFile extends PlannedUndo {
  readonly move: MoveChange | null;
}

function planFile(
  head: FileState,
  state: FileState,
  bytes: Uint8Array | null,
  { merged, memoryId }: { readonly merged: boolean; readonly memoryId: string | null },
): PlannedFile {
  if (state === null || bytes === null) {
    const path = head?.path ?? "";
    return { path, move: null, changes: [{ type: "delete", path }], told: [{ path, change: "deleted" }] };
  }
  const { path, executable } = state;
  const move = head === null || head.path === path ? null : { type: "move" as const, path: head.path, to: path };
  const moved: UndonePath[] = move === null ? [] : [{ path, change: "moved_back" }];
  const before = move === null ? [] : [move];
  if (head !== null && !merged && head.sha256 === state.sha256 && head.executable === executable)
    return { path, move, changes: before, told: moved };
  const revived = head === null ? { memoryId: memoryId ?? createId("memory") } : {};
  const operation = merged ? ("merge" as const) : ("write" as const);
  const put = { type: "put" as const, path, bytes, executable, operation, ...revived };
  return { path, move, changes: [...before, put], told: [...moved, { path, change: merged ? "merged" : "put_back" }] };
}

/** A move waits for what stands at its end to be moved away; those that wait for each other are undone as a whole. */
function inMovingOrder(files: readonly PlannedFile[]): readonly PlannedUndo[] {
  const ordered: PlannedUndo[] = files.filter((file) => file.move === null);
  let waiting = files.filter((file) => file.move !== null);
  while (waiting.length > 0) {
    const occupied = new Set(waiting.map((file) => file.move?.path));
    const ready = waiting.filter((file) => !occupied.has(file.move?.to));
    if (ready.length === 0) return [...ordered, asRing(waiting)];
    ordered.push(...ready);
    waiting = waiting.filter((file) => !ready.includes(file));
  }
  return ordered;
}

/** Each goes aside first, by a third name. */
function asRing(files: readonly PlannedFile[]): PlannedUndo {
  const changes = files.flatMap((file) => file.changes);
  const moves = changes.filter((change) => change.type === "move");
  return {
    path: files[0]?.path ?? "",
    changes: [
      ...moves.map((move) => ({ ...move, to: `${move.path}.undo` })),
      ...moves.map((move) => ({ ...move, path: `${move.path}.undo` })),
      ...changes.filter((change) => change.type !== "move"),
    ],
    told: files.flatMap((file) => file.told),
  };
}

function planDirectories(directories: LoadedLineages["directories"]): readonly PlannedUndo[] {
  return directories.flatMap(({ path, before, now }): PlannedUndo[] => {
    if (before === now) return [];
    return before
      ? [{ path, changes: [{ type: "make_directory", path }], told: [{ path, change: "directory_made" }] }]
      : [
          {
            path,
            changes: [{ type: "remove_directory", path }],
            told: [{ path, change: "directory_removed" }],
          },
        ];
  });
}
