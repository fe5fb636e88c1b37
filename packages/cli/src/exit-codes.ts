/** Exit codes, and what each failure says. One table: a script can rely on it. @module */
import { escapeForTerminal } from "./render/escape.ts";

export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  authentication: 3,
  notFound: 4,
  waitingForApproval: 5,
  budgetReached: 6,
  detached: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** A failure that the command line explains itself: one sentence, no stack trace. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: ExitCode;
  constructor(message: string, exitCode: ExitCode = exitCodes.failure) {
    super(message);
    this.exitCode = exitCode;
  }
}

export interface Failure {
  /** Escaped; may have several lines. */
  readonly message: string;
  readonly exitCode: ExitCode;
}

const refusedConnections = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOENT",
]);

/** Errors of the server's start-up and of the sandbox that are written for people. */
const explainedErrors = new Set(["StartupError", "SandboxUnavailableError", "CommandError"]);

/** The client's status for a server that does not answer. */
const noAnswer = 0;

/** `url`: the server that was asked, for the sentence about its absence. */
export function describeFailure(error: unknown, url?: string): Failure {
  if (!(error instanceof Error)) return { message: escapeForTerminal(String(error)), exitCode: exitCodes.failure };
  if (error instanceof CommandError) return { message: escapeForTerminal(error.message), exitCode: error.exitCode };
  const status = readNumber(error, "status");
  if (status !== undefined && status !== noAnswer) return describeAnswer(error, status);
  if (url !== undefined && (status === noAnswer || isRefusedConnection(error))) {
    return {
      message: `No server answers at ${escapeForTerminal(url)}: start one with \`exoloop up\`.`,
      exitCode: exitCodes.failure,
    };
  }
  const remedy = readText(error, "remedy");
  if (explainedErrors.has(error.name) || remedy !== undefined) {
    return {
      message: escapeForTerminal(joinSentences(error.message, remedy)),
      exitCode: exitCodes.failure,
    };
  }
  return { message: escapeForTerminal(error.stack ?? error.message), exitCode: exitCodes.failure };
}

/** An error answer of the API. */
function describeAnswer(error: Error, status: number): Failure {
  const message = escapeForTerminal(joinSentences(error.message, readText(error, "hint")));
  if (status === 401 || status === 403) return { message, exitCode: exitCodes.authentication };
  if (status === 404) return { message, exitCode: exitCodes.notFound };
  if (status === 402) return { message, exitCode: exitCodes.budgetReached };
  return { message, exitCode: exitCodes.failure };
}

/** Looks through the causes that `fetch` wraps around the network's error. */
function isRefusedConnection(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > 5) return false;
  const code = readText(error, "code");
  if (code !== undefined && (refusedConnections.has(code) || code.startsWith("UND_ERR_"))) return true;
  if (error instanceof AggregateError && error.errors.some((inner) => isRefusedConnection(inner, depth + 1)))
    return true;
  return isRefusedConnection(error.cause, depth + 1);
}

function joinSentences(message: string, more: string | undefined): string {
  return more === undefined || message.includes(more) ? message : `${message.trim()}\n${more.trim()}`;
}

function readText(error: Error, name: string): string | undefined {
  const value: unknown = Reflect.get(error, name);
  return typeof value === "string" && value !== "" ? value : undefined;
}

function readNumber(error: Error, name: string): number | undefined {
  const value: unknown = Reflect.get(error, name);
  return typeof value === "number" ? value : undefined;
}

/** What a stopped turn means to a script. `reason` is the type of the session's stop reason. */
export function exitCodeOfStop(reason: string): ExitCode {
  if (reason === "end_turn") return exitCodes.ok;
  if (reason === "requires_action") return exitCodes.waitingForApproval;
  if (reason === "budget_reached") return exitCodes.budgetReached;
  return exitCodes.failure;
}
