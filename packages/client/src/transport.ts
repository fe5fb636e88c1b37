/** Requests to one server, with one key. @module */
import { ApiError, readApiError } from "./api-error.ts";

export interface ClientOptions {
  /** @example "http://127.0.0.1:4848" */
  readonly baseUrl: string;
  readonly apiKey: string;
  /** Replaces the platform's own. */
  readonly fetch?: typeof fetch;
}

type QueryValue = string | number | boolean | Date | readonly string[] | null | undefined;
export type Query = Readonly<Record<string, QueryValue>>;

export interface RequestOptions {
  readonly query?: Query;
  readonly body?: object;
  /** A body that is sent as it is, in place of `body`. */
  readonly text?: string;
  /** An upload, in place of `body`. */
  readonly form?: FormData;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

type Method = "GET" | "POST" | "PUT" | "DELETE";

export interface Transport {
  /** The raw answer, whatever its status. @throws ApiError `connection_failed`; the signal's reason when it aborts */
  send(method: Method, path: string, options?: RequestOptions): Promise<Response>;
  /** The answer's JSON. @throws ApiError */
  request<Answer>(method: Method, path: string, options?: RequestOptions): Promise<Answer>;
}

/** @example encodeQuery({ limit: 5, statuses: ["idle"] }) // "?limit=5&statuses%5B%5D=idle" */
export function encodeQuery(query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue;
    if (value instanceof Date) parameters.append(key, value.toISOString());
    else if (typeof value === "object") for (const item of value) parameters.append(`${key}[]`, item);
    else parameters.append(key, String(value));
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

/** One segment of a path. */
export function segment(id: string): string {
  if (id === "" || id === "." || id === "..") throw new TypeError(`${JSON.stringify(id)} cannot be an identifier`);
  return encodeURIComponent(id);
}

export function createTransport(options: ClientOptions): Transport {
  const base = options.baseUrl.replace(/\/+$/, "");
  const fetchAnswer = options.fetch ?? globalThis.fetch.bind(globalThis);
  async function send(method: string, path: string, request: RequestOptions = {}): Promise<Response> {
    const headers = { accept: "application/json", ...request.headers, authorization: `Bearer ${options.apiKey}` };
    try {
      return await fetchAnswer(`${base}${path}${encodeQuery(request.query)}`, {
        method,
        headers: request.body === undefined ? headers : { ...headers, "content-type": "application/json" },
        ...(request.text === undefined ? {} : { body: request.text }),
        ...(request.form === undefined ? {} : { body: request.form }),
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
        ...(request.signal === undefined ? {} : { signal: request.signal }),
      });
    } catch (cause) {
      request.signal?.throwIfAborted();
      throw new ApiError(`The server at ${base} does not answer.`, {
        status: 0,
        code: "connection_failed",
        hint: "Check that it runs and that the address is right.",
        requestId: null,
        cause,
      });
    }
  }
  return {
    send,
    async request<Answer>(method: Method, path: string, request?: RequestOptions) {
      const response = await send(method, path, request);
      if (!response.ok) throw await readApiError(response);
      // The server's answers have the types of the protocol: its own tests hold it to them.
      return (await response.json()) as Answer;
    },
  };
}
