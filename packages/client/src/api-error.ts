/** What the server refused, and why. @module */

export class ApiError extends Error {
  override readonly name = "ApiError";
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Stable: compare this. `connection_failed` when there was no answer, `unexpected_answer` when it was not the API's. */
  readonly code: string;
  readonly hint: string | null;
  readonly requestId: string | null;
  constructor(
    message: string,
    details: { status: number; code: string; hint: string | null; requestId: string | null; cause?: unknown },
  ) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.status = details.status;
    this.code = details.code;
    this.hint = details.hint;
    this.requestId = details.requestId;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** @example throw await readApiError(response) */
export async function readApiError(response: Response): Promise<ApiError> {
  const requestId = response.headers.get("request-id");
  const body: unknown = await response.json().catch(() => null);
  const error = isRecord(body) && isRecord(body["error"]) ? body["error"] : null;
  if (error === null) {
    return new ApiError(`The server answered with status ${response.status}, but not as Exoloop does.`, {
      status: response.status,
      code: "unexpected_answer",
      hint: "Check the server's address.",
      requestId,
    });
  }
  return new ApiError(String(error["message"]), {
    status: response.status,
    code: String(error["code"]),
    hint: typeof error["hint"] === "string" ? error["hint"] : null,
    requestId,
  });
}
