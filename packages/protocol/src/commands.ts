/** Words about commands that need no schema. @module */

/** Headers of a command's output, which is sent as it is. */
export const outputHeaders = {
  /** Of the first byte sent: later than asked for where what was before is not kept. */
  offset: "x-exoloop-offset",
  nextOffset: "x-exoloop-next-offset",
  /** The state of the command, as in `BackgroundCommand`. */
  state: "x-exoloop-command-state",
} as const;

/** Linux's numbers of the signals that can be sent. */
export const signalNumbers = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGTERM: 15,
  SIGCONT: 18,
  SIGSTOP: 19,
} as const;
export type SignalName = keyof typeof signalNumbers;
