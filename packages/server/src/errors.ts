/**
 * Every error a caller may see. One table: code → HTTP status, type on the wire. A message is written for the caller:
 * it says what is wrong and where; `hint` says what to do. Neither ever holds a secret, a host path or a stack.
 * @module
 */

export const problems = {
  invalid_request: { status: 400, type: "invalid_request_error" },
  invalid_cursor: { status: 400, type: "invalid_request_error" },
  malformed_json: { status: 400, type: "invalid_request_error" },
  session_archived: { status: 400, type: "invalid_request_error" },
  agent_archived: { status: 400, type: "invalid_request_error" },
  environment_archived: { status: 400, type: "invalid_request_error" },
  deployment_archived: { status: 400, type: "invalid_request_error" },
  memory_store_archived: { status: 400, type: "invalid_request_error" },
  invalid_metadata: { status: 400, type: "invalid_request_error" },
  invalid_config_type_change: { status: 400, type: "invalid_request_error" },
  unknown_tool_use: { status: 400, type: "invalid_request_error" },
  already_answered: { status: 400, type: "invalid_request_error" },
  budget_create_only: { status: 400, type: "invalid_request_error" },
  budget_not_raised: { status: 400, type: "invalid_request_error" },
  model_not_budgetable: { status: 400, type: "invalid_request_error" },
  invalid_skill: { status: 400, type: "invalid_request_error" },
  skill_has_versions: { status: 400, type: "invalid_request_error" },
  invalid_path: { status: 400, type: "invalid_request_error" },
  idempotency_key_reused: { status: 400, type: "invalid_request_error" },
  idempotency_outcome_unknown: { status: 409, type: "conflict_error" },
  idempotency_in_progress: { status: 409, type: "conflict_error" },
  unsupported: { status: 400, type: "invalid_request_error" },
  unauthenticated: { status: 401, type: "authentication_error" },
  invalid_signature: { status: 401, type: "authentication_error" },
  forbidden: { status: 403, type: "permission_error" },
  not_found: { status: 404, type: "not_found_error" },
  memory_store_not_found: { status: 404, type: "not_found_error" },
  environment_in_use: { status: 409, type: "conflict_error" },
  name_taken: { status: 409, type: "conflict_error" },
  work_stopped: { status: 409, type: "conflict_error" },
  work_not_claimed: { status: 409, type: "conflict_error" },
  command_ended: { status: 409, type: "conflict_error" },
  version_conflict: { status: 409, type: "conflict_error" },
  memory_path_conflict: { status: 409, type: "memory_path_conflict_error" },
  memory_precondition_failed: { status: 409, type: "memory_precondition_failed_error" },
  memory_store_full: { status: 409, type: "conflict_error" },
  storage_full: { status: 409, type: "conflict_error" },
  heartbeat_precondition_failed: { status: 412, type: "invalid_request_error" },
  file_too_large: { status: 413, type: "invalid_request_error" },
  body_too_large: { status: 413, type: "invalid_request_error" },
  rate_limited: { status: 429, type: "rate_limit_error" },
  internal: { status: 500, type: "api_error" },
  database_unavailable: { status: 503, type: "api_error" },
  sandbox_unavailable: { status: 503, type: "api_error" },
} as const satisfies Record<string, { status: number; type: string }>;

export type ProblemCode = keyof typeof problems;

/**
 * @example throw new Problem("not_found", "No session has the id sesn_1.", "List them with GET /v1/sessions.")
 */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ProblemCode;
  readonly hint: string | undefined;
  /** What programs are told besides the code. */
  readonly details: Readonly<Record<string, unknown>>;
  /** What the official type of this error has besides its message. */
  readonly members: Readonly<Record<string, string>>;
  constructor(
    code: ProblemCode,
    message: string,
    hint?: string,
    details: Readonly<Record<string, unknown>> = {},
    members: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.code = code;
    this.hint = hint;
    this.details = details;
    this.members = members;
  }
  get status(): number {
    return problems[this.code].status;
  }
  get type(): string {
    return problems[this.code].type;
  }
}

/** A start-up problem: one sentence that names the remedy. The command line prints `message` and exits with 1. */
export class StartupError extends Error {
  override readonly name = "StartupError";
}
