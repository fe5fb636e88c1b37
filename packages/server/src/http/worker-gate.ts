/**
 * Who may use a route. Keys of workers and tokens of their work are let in by name only, and only where the path is that
 * of their own environment, session or item: a route that says nothing is closed to them.
 * @module
 */
import { Problem } from "../errors.ts";
import type { Principal } from "../orgs/principal.ts";

/**
 * `environment`: the key of a worker. `session`: the token of a piece of work that it has. `late`: such a token after the
 * item was handed to another worker.
 */
export type WorkerKind = "environment" | "session" | "late";

interface Gate {
  readonly admin?: boolean;
  readonly workers?: readonly WorkerKind[];
}

/**
 * @param parameter What the path has at a name.
 * @throws Problem `forbidden`; the same whether the path's object exists or not
 */
export function letIn(
  principal: Principal,
  { admin = false, workers = [] }: Gate,
  parameter: (name: string) => string | undefined,
): void {
  const kind = kindOf(principal);
  if (kind === null) {
    if (admin && !principal.scopes.includes("admin")) {
      throw new Problem("forbidden", "This key may not do this.", "Use a key with the scope admin.");
    }
    return;
  }
  if (kind === "late" && !workers.includes("late") && workers.includes("session")) {
    throw new Problem(
      "forbidden",
      "This piece of work was handed to another worker: its first token is worth nothing any more.",
      "Poll for other work.",
    );
  }
  if (workers.includes(kind) && isOwnPath(principal, parameter)) return;
  throw new Problem(
    "forbidden",
    "A worker's key or token may not do this.",
    "It serves its own environment and session; for anything else use a key of the organization.",
  );
}

function kindOf({ session, environment }: Principal): WorkerKind | null {
  if (session !== undefined) return session.current ? "session" : "late";
  return environment === undefined ? null : "environment";
}

function isOwnPath({ session, environment }: Principal, parameter: (name: string) => string | undefined): boolean {
  const own: Readonly<Record<string, string | undefined>> = {
    environment_id: session?.environmentId ?? environment?.environmentId,
    session_id: session?.sessionId,
    work_id: session?.workId,
  };
  return Object.entries(own).every(([name, value]) => {
    const given = parameter(name);
    return given === undefined || given === value || (name === "work_id" && session === undefined);
  });
}
