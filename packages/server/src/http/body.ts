/** Reads the JSON body of a request, within bounds. @module */
import { Problem } from "../errors.ts";
import { formatPath } from "./problem.ts";

const maximumBodyBytes = 1024 * 1024;
/** Deeper values would exhaust the stack of whatever writes them out again. */
const maximumDepth = 64;

function tooLarge(maximum: number): Problem {
  const shown = maximum < maximumBodyBytes ? `${maximum / 1024} KiB` : `${maximum / 1024 ** 2} MiB`;
  return new Problem("body_too_large", `The body is larger than ${shown}.`, "Send less, or put it into files.");
}

/** Refuses by the declared length, without reading. @throws Problem `body_too_large` */
export function checkDeclaredLength(headers: Headers, maximum = maximumBodyBytes): void {
  const declared = headers.get("content-length");
  if (declared !== null && Number(declared) > maximum) throw tooLarge(maximum);
}

/** The raw bytes. @throws Problem `body_too_large`; `malformed_json` when the sender hung up within them */
export async function readBytes(request: Request, maximum = maximumBodyBytes): Promise<Uint8Array> {
  checkDeclaredLength(request.headers, maximum);
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    // Leaving the loop by an error cancels the body: what is over the limit is never held.
    for await (const chunk of request.body) {
      size += chunk.byteLength;
      if (size > maximum) throw tooLarge(maximum);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    // The sender has gone or has broken the framing: not a fault of ours.
    throw new Problem("malformed_json", "The body ended before it was complete.", "Send the request again.");
  }
  return Buffer.concat(chunks);
}

function decode(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new Problem("malformed_json", "The body is not valid JSON in UTF-8.", "Send one JSON object.");
  }
}

/** Text that Postgres cannot store, or that names a prototype, is refused wherever it stands. */
function checkText(text: string, path: readonly PropertyKey[], isKey: boolean): void {
  if (text.includes("\0") || !text.isWellFormed()) {
    throw new Problem(
      "invalid_request",
      `${formatPath(path) || "the body"}: NUL characters and unpaired surrogates are not allowed.`,
      "Encode binary data in base64.",
    );
  }
  if (isKey && text === "__proto__") {
    throw new Problem("invalid_request", `${formatPath(path) || "the body"}: a field cannot have the name __proto__.`);
  }
}

/** Walks without recursion: the value may be as deep as its sender liked. */
function checkValue(root: unknown): void {
  const open: { value: unknown; path: readonly PropertyKey[] }[] = [{ value: root, path: [] }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, path } = next;
    if (typeof value === "string") checkText(value, path, false);
    if (typeof value !== "object" || value === null) continue;
    if (path.length >= maximumDepth) {
      throw new Problem("invalid_request", `The body is nested more than ${maximumDepth} levels deep.`);
    }
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) open.push({ value: item, path: [...path, index] });
      continue;
    }
    for (const [key, item] of Object.entries(value)) {
      checkText(key, path, true);
      open.push({ value: item, path: [...path, key] });
    }
  }
}

/**
 * The body as JSON. A missing content type is taken for JSON; another one is refused.
 * @throws Problem `body_too_large`, `malformed_json`, `invalid_request`
 */
export async function readJsonBody(request: Request, maximumBytes?: number): Promise<unknown> {
  checkDeclaredLength(request.headers, maximumBytes);
  const type = request.headers.get("content-type");
  if (type !== null && !/^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(type)) {
    throw new Problem(
      "invalid_request",
      "The body's content type is not JSON.",
      "Send content-type: application/json.",
    );
  }
  const bytes = await readBytes(request, maximumBytes);
  if (bytes.byteLength === 0) {
    throw new Problem("malformed_json", "The request has no body.", "Send one JSON object.");
  }
  const value = decode(bytes);
  checkValue(value);
  return value;
}
