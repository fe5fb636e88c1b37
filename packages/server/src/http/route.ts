/**
 * One route: what it takes, what it answers, and what is described at /openapi.json, in one declaration. Nothing of a
 * request reaches a handler unchecked.
 * @module
 */
import { createHash } from "node:crypto";
import { ServerResponse } from "node:http";
import { type OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import { errorAnswer } from "@exoloop/protocol/errors";
import { z } from "zod";
import { Problem } from "../errors.ts";
import { type Authenticate, authenticateRequest } from "./authentication.ts";
import type { Principal } from "../orgs/principal.ts";
import { letIn, type WorkerKind } from "./worker-gate.ts";
import { checkDeclaredLength, readJsonBody } from "./body.ts";
import { readIdempotencyKey, type RequestOnce } from "./idempotency.ts";
import { readUpload, type Upload } from "./multipart.ts";
import { issuesProblem } from "./problem.ts";
import { readQuery } from "./query.ts";

export interface AppEnvironment {
  Variables: { requestId: string };
}
export type App = OpenAPIHono<AppEnvironment>;

export interface RouteContext {
  readonly app: App;
  readonly authenticate: Authenticate;
  readonly once: RequestOnce;
}

export interface Call<Query, Body> {
  readonly principal: Principal;
  readonly query: Query;
  readonly body: Body;
  /** Empty where the route takes none. */
  readonly upload: Upload;
  readonly headers: Headers;
  /** Its body is unread where the route says so. */
  readonly request: Request;
  /** How the caller names this server. */
  readonly origin: URL;
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal;
  /** Ends the connection at once. */
  hangUp(): void;
  /** Whether the key has been revoked since: for answers that last. An outage is not a revocation. */
  isRevoked(): Promise<boolean>;
  /** A parameter of the path. */
  parameter(name: string): string;
}

export interface Route<Query extends z.ZodType, Body extends z.ZodType, Answer extends z.ZodType> {
  readonly method: "get" | "post" | "put" | "delete";
  /** @example "/v1/agents/{agent_id}" */
  readonly path: `/${string}`;
  readonly summary: string;
  readonly tag: string;
  /** Needs a key with the scope `admin`. */
  readonly admin?: boolean;
  /** Which workers may use it, each for its own environment or session; others may not, whatever their scope. */
  readonly workers?: readonly WorkerKind[];
  readonly query?: Query;
  /** Without it, a body is neither needed nor read. */
  readonly body?: Body;
  /** Where a body may be larger than a mebibyte. */
  readonly maximumBodyBytes?: number;
  /** The handler reads the body, which may be long, and bounds it. */
  readonly readsBody?: boolean;
  /** Files in place of a body: bytes of all that is sent at most. */
  readonly upload?: number;
  readonly answer: Answer;
  /** The media type when it is not JSON. */
  readonly stream?: "text/event-stream" | "application/octet-stream" | "application/zip";
}

const noUpload: Upload = { files: [], texts: new Map() };
const noQuery = z.strictObject({});
const maximumIdLength = 128;

function pathParameters(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].flatMap((match) => match[1] ?? []);
}

/** Bodies are described by name; `openapi.ts` adds what the names mean. */
function named(schema: z.ZodType): { $ref: string } {
  const id = schema.meta()?.id;
  if (id === undefined) throw new Error("the schema of a body needs an id in its meta data");
  return { $ref: `#/components/schemas/${id}` };
}

const uploadContent = {
  "multipart/form-data": {
    schema: {
      type: "object" as const,
      properties: { "files[]": { type: "array" as const, items: { type: "string" as const, format: "binary" } } },
    },
  },
};

function describeRoute(route: Route<z.ZodType, z.ZodType, z.ZodType>): RouteConfig {
  const names = pathParameters(route.path);
  const query = route.query instanceof z.ZodObject ? route.query : undefined;
  const body = route.body;
  return {
    method: route.method,
    path: route.path,
    summary: route.summary,
    tags: [route.tag],
    security: [{ bearer: [] }, { apiKey: [] }],
    request: {
      ...(names.length > 0 ? { params: z.object(Object.fromEntries(names.map((name) => [name, z.string()]))) } : {}),
      ...(query === undefined ? {} : { query }),
      ...(body === undefined
        ? {}
        : { body: { required: true, content: { "application/json": { schema: named(body) } } } }),
      ...(route.upload === undefined ? {} : { body: { required: true, content: uploadContent } }),
    },
    responses: {
      200: { description: "Done.", content: { [route.stream ?? "application/json"]: { schema: named(route.answer) } } },
      default: { description: "What went wrong.", content: { "application/json": { schema: named(errorAnswer) } } },
    },
  };
}

async function readBody<Body extends z.ZodType>(
  request: Request,
  schema: Body,
  maximumBytes: number | undefined,
): Promise<z.output<Body>> {
  const parsed = schema.safeParse(await readJsonBody(request, maximumBytes));
  if (!parsed.success) throw issuesProblem(parsed.error.issues);
  return parsed.data;
}

/**
 * Adds a route. The handler returns what is answered as JSON, or a Response of its own.
 * @example addRoute(context, { method: "get", path: "/v1/agents/{agent_id}", … }, (call) => agents.get(…))
 */
export function addRoute<
  Answer extends z.ZodType,
  Query extends z.ZodType = typeof noQuery,
  Body extends z.ZodType = z.ZodUndefined,
>(
  context: RouteContext,
  route: Route<Query, Body, Answer>,
  handle: (call: Call<z.output<Query>, z.output<Body>>) => Promise<z.output<Answer> | Response>,
): void {
  const { app, authenticate, once } = context;
  app.openAPIRegistry.registerPath(describeRoute(route));
  app.on(route.method.toUpperCase(), route.path.replaceAll(/\{(\w+)\}/g, ":$1"), async (c) => {
    const request = c.req.raw;
    const principal = await authenticateRequest(request.headers, authenticate);
    letIn(principal, route, (name) => c.req.param(name));
    const query = readQuery(new URL(request.url).searchParams, route.query ?? noQuery);
    if (route.upload === undefined && route.readsBody !== true)
      checkDeclaredLength(request.headers, route.maximumBodyBytes);
    const upload = route.upload === undefined ? noUpload : await readUpload(request, route.upload);
    const body = route.body === undefined ? undefined : await readBody(request, route.body, route.maximumBodyBytes);
    const call = {
      principal,
      query: query as z.output<Query>,
      body: body as z.output<Body>,
      upload,
      headers: request.headers,
      request,
      origin: new URL("/", request.url),
      signal: request.signal,
      hangUp: () => destroyConnection(c.env),
      isRevoked: () =>
        isRefused(async () =>
          letIn(await authenticateRequest(request.headers, authenticate), route, (name) => c.req.param(name)),
        ),
      parameter: (name: string) => readParameter(c.req.param(name)),
    };
    const key = route.method === "post" && route.readsBody !== true ? readIdempotencyKey(request.headers) : null;
    const answer =
      key === null
        ? await handle(call)
        : await once(
            principal,
            {
              key,
              request: [
                new URL(request.url).pathname,
                [...new URL(request.url).searchParams],
                body,
                ...digests(upload),
              ],
            },
            () => handle(call),
          );
    return answer instanceof Response ? answer : c.json(answer as object);
  });
}

/**
 * Adds a route without an API key: who calls is proven by what is sent, and judged by the handler, which reads the body.
 * @example addOpenRoute(context, { method: "post", path: "/v1/x/webhooks/{webhook_id}/deliveries", … }, handle)
 */
export function addOpenRoute<Answer extends z.ZodType>(
  { app }: RouteContext,
  route: Omit<Route<typeof noQuery, z.ZodUndefined, Answer>, "admin" | "workers" | "query" | "body">,
  handle: (call: { readonly request: Request; parameter(name: string): string }) => Promise<z.output<Answer>>,
): void {
  app.openAPIRegistry.registerPath({ ...describeRoute(route), security: [] });
  app.on(route.method.toUpperCase(), route.path.replaceAll(/\{(\w+)\}/g, ":$1"), async (c) => {
    const answer = await handle({ request: c.req.raw, parameter: (name) => readParameter(c.req.param(name)) });
    return c.json(answer as object);
  });
}

/** What tells two uploads apart, for a key of idempotency. */
function digests({ files, texts }: Upload): readonly unknown[] {
  const parts = files.map(({ field, fileName, bytes }) => [
    field,
    fileName,
    createHash("sha256").update(bytes).digest("hex"),
  ]);
  return files.length === 0 && texts.size === 0 ? [] : [parts, [...texts]];
}

async function isRefused(look: () => Promise<void>): Promise<boolean> {
  try {
    await look();
    return false;
  } catch (error) {
    return error instanceof Problem;
  }
}

/** An identifier that no object can have is refused like one that none has. */
function readParameter(value: string | undefined): string {
  if (value !== undefined && value.length <= maximumIdLength && !/[^\x21-\x7e]/.test(value)) return value;
  throw new Problem(
    "not_found",
    "Nothing has the identifier in this path.",
    "Identifiers look like agent_01… or sesn_01….",
  );
}

/** Behind @hono/node-server the environment holds node's own response; elsewhere there is no connection to end. */
function destroyConnection(environment: unknown): void {
  if (typeof environment !== "object" || environment === null || !("outgoing" in environment)) return;
  if (environment.outgoing instanceof ServerResponse) environment.outgoing.destroy();
}
