/** Where set-up speaks: standard error, so that a command's own output stays one piece. @module */

export function say(text) {
  process.stderr.write(`exoloop: ${text}\n`);
}

/** A prerequisite that set-up cannot provide: one message that names the remedy. */
export class SetupError extends Error {
  name = "SetupError";
}

/** A duration for people. @example seconds(performance.now() - 1500) // "1.5 s" */
export function since(started) {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}
