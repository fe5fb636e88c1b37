/** Every error path ends here: one form, one `request-id`, and never a stack, a host path or a secret. @module */
import type { ErrorAnswer } from "@exoloop/protocol/errors";
import type { z } from "zod";
import { isDatabaseAway } from "../db/database-away.ts";
import { Problem } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";

type Issue = z.core.$ZodIssue;

const shownIssues = 3;

/** The answer to an error. Anything that is not a Problem is a fault of ours: it is logged, and the caller sees no more than its request's id. */
export function answerError(error: unknown, requestId: string, log: Logger): Response {
  if (error instanceof Problem) return answerProblem(error, requestId);
  log.error({ request: requestId, error }, "request failed");
  if (isDatabaseAway(error)) {
    const problem = new Problem(
      "database_unavailable",
      "The server's database does not answer.",
      "Try again in a moment.",
    );
    return answerProblem(problem, requestId);
  }
  return answerProblem(
    new Problem(
      "internal",
      "The server failed to answer this request.",
      `Try again; if it persists, give the server's operator the request id ${requestId}.`,
    ),
    requestId,
  );
}

function answerProblem(problem: Problem, requestId: string): Response {
  const body: ErrorAnswer = {
    type: "error",
    error: {
      ...problem.members,
      type: problem.type,
      message: problem.message,
      code: problem.code,
      hint: problem.hint ?? null,
      details: { ...problem.details, error_code: problem.code },
    },
    request_id: requestId,
  };
  const headers = new Headers({ "content-type": "application/json", "request-id": requestId });
  // A conflict is final: repeating the same request cannot succeed, and the official SDKs would repeat it.
  if (problem.status === 409) headers.set("x-should-retry", "false");
  // The rest of the body is not read, so the connection cannot carry another request.
  if (problem.status === 413) headers.set("connection", "close");
  if (problem.code === "unauthenticated") headers.set("www-authenticate", "Bearer");
  return new Response(JSON.stringify(body), { status: problem.status, headers });
}

/** @example formatPath(["events", 0, "content"]) // "events[0].content" */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += text === "" ? String(part) : `.${String(part)}`;
  }
  return text;
}

/**
 * Of a union, the branch that the value came closest to: the one whose first complaint lies deepest, and then the one
 * with the fewest. A string that was sent where only an object would do is thus told of both.
 */
function closestBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | null {
  const depth = (issues: readonly Issue[]) =>
    Math.max(...issues.map((issue) => issue.path.length + (issue.code === "unrecognized_keys" ? 1 : 0)));
  const candidates = branches.filter((issues) => issues.length > 0 && depth(issues) > 0);
  candidates.sort((a, b) => depth(b) - depth(a) || a.length - b.length);
  return candidates[0] ?? null;
}

function describeIssue(issue: Issue, prefix: readonly PropertyKey[]): string[] {
  const path = [...prefix, ...issue.path];
  const at = formatPath(path) || "the request";
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => `${formatPath([...path, key])}: there is no such field`);
  }
  if (issue.code === "invalid_union") {
    const branch = closestBranch(issue.errors);
    if (branch !== null) return branch.flatMap((inner) => describeIssue(inner, path));
    const expected = issue.errors.flat().flatMap((inner) => (inner.code === "invalid_type" ? [inner.expected] : []));
    if (expected.length > 0) return [`${at}: expected ${[...new Set(expected)].join(" or ")}`];
    return [
      `${at}: ${"discriminator" in issue ? `${issue.discriminator} is missing or not a known value` : "not a known form"}`,
    ];
  }
  if ((issue.code === "invalid_key" || issue.code === "invalid_element") && issue.issues.length > 0) {
    return issue.issues.flatMap((inner) => describeIssue(inner, path));
  }
  return [`${at}: ${plainMessage(issue)}`];
}

/** The library's own words are told as a person would; a schema's stay. */
function plainMessage(issue: Issue): string {
  const { message } = issue;
  if (issue.code === "too_small" && message.startsWith("Too small: ")) {
    return issue.minimum === 1 && (issue.origin === "array" || issue.origin === "string")
      ? "must not be empty"
      : `must ${boundOf("at least", issue.origin, issue.minimum)}`;
  }
  if (issue.code === "too_big" && message.startsWith("Too big: ")) {
    return `must ${boundOf("at most", issue.origin, issue.maximum)}`;
  }
  if (issue.code === "invalid_value" && message.startsWith("Invalid option: ")) {
    return `must be one of ${issue.values.map((value) => JSON.stringify(String(value))).join(", ")}`;
  }
  if (issue.code === "invalid_type" && issue.expected === "int") return "must be a whole number";
  if (message === "Invalid ISO date") return "must be a day such as 2030-01-31";
  if (message === "Invalid ISO datetime") return "must be an instant such as 2030-01-31T08:00:00Z";
  return message.replace(/^Invalid input: /, "").replace(/, received undefined$/, ", but it is missing");
}

/** @example boundOf("at most", "string", 64) // "have at most 64 characters" */
function boundOf(bound: string, origin: string, limit: number | bigint): string {
  if (origin === "string") return `have ${bound} ${limit} characters`;
  if (origin === "number" || origin === "int") return `be ${bound} ${limit}`;
  return `have ${bound} ${limit} members`;
}

/**
 * A problem that names the first few complaints with their paths.
 * @example issuesProblem(schema.safeParse(body).error.issues)
 */
export function issuesProblem(issues: readonly Issue[]): Problem {
  const all = issues.flatMap((issue) => describeIssue(issue, []));
  const shown = all.slice(0, shownIssues).map((text) => (text.length > 300 ? `${text.slice(0, 300)}…` : text));
  const more = all.length > shown.length ? ` And ${all.length - shown.length} more.` : "";
  return new Problem(
    "invalid_request",
    `${shown.join("; ")}.${more}`,
    "The fields of every request are described in /openapi.json.",
  );
}
