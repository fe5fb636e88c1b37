/** Processes that a command leaves behind when it ends: they stand still with the sandbox, and the model is told. @module */
import type { ProcessSummary } from "@exoloop/sandbox/session";

const shownNames = 5;

/** Null when there are none. @example describeSurvivors([{ pid: 7, commandId: "x", name: "node" }], "x") */
export function describeSurvivors(processes: readonly ProcessSummary[], commandId: string): string | null {
  const left = processes.filter((process) => process.commandId === commandId);
  if (left.length === 0) return null;
  const names = left.slice(0, shownNames).map(({ name }) => escapeName(name));
  const more = left.length > shownNames ? ` and ${left.length - shownNames} more` : "";
  const what =
    left.length === 1
      ? "1 process that this command started still runs"
      : `${left.length} processes that this command started still run`;
  return `<sandbox_processes>${what}: ${names.join(", ")}${more}. They stand still until the next command; what must go on between commands belongs into the background.</sandbox_processes>`;
}

/** Whoever runs in the sandbox chooses the name: it must not look like anything of ours. */
function escapeName(name: string): string {
  const escaped = name.replaceAll(/[^A-Za-z0-9._+:@/-]/g, (character) => {
    const point = character.codePointAt(0) ?? 0;
    return `\\x${point.toString(16).padStart(2, "0")}`;
  });
  return escaped === "" ? "(no name)" : escaped.slice(0, 64);
}
