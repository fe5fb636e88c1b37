/**
 * Which headers pass a preview, in either direction. What is between two machines stays there; what would show our
 * credentials to the sandbox, or let its pages act for our address, is left out. Pure.
 * @module
 */

type Headers = readonly (readonly [name: string, value: string])[];

export interface Passage {
  readonly by: "path" | "host";
  readonly token: string;
  readonly port: number;
  /** As the browser names this server. */
  readonly host: string;
  /** By which the browser came to this name. */
  readonly scheme: "http" | "https";
}

const betweenTwo = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const onlyOurs = new Set(["host", "authorization", "x-api-key", "expect", "forwarded", "referer", "origin"]);

/** What a page of the sandbox must not say in the name of our address, whatever it is at. */
const onlyForOthers = new Set([
  "alt-svc",
  "clear-site-data",
  "nel",
  "public-key-pins",
  "report-to",
  "reporting-endpoints",
  "service-worker-allowed",
  "set-cookie2",
  "strict-transport-security",
  "www-authenticate",
]);

/** Pages at our address get an origin of their own, that nobody shares: they see none of its cookies and no storage. */
const ownOrigin = "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads";

/** @example pairs(["Host", "a", "Accept", "b"]) // [["Host", "a"], ["Accept", "b"]] */
export function pairs(raw: readonly string[]): Headers {
  return raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1] ?? ""] as const] : []));
}

/** What the sandbox's server is sent. */
export function headersInward(sent: Headers, { by, port, host, scheme, token }: Passage): Headers {
  const dropped = namedByConnection(sent);
  const kept = sent.filter(([header]) => {
    const name = header.toLowerCase();
    if (betweenTwo.has(name) || onlyOurs.has(name) || dropped.has(name) || name.startsWith("x-forwarded-"))
      return false;
    return by === "host" || name !== "cookie";
  });
  const origin = valueOf(sent, "origin");
  // To the server it is a request of its own pages; who holds the token may make those.
  const local = origin === "null" || hostOf(origin) === host.toLowerCase() ? `http://localhost:${port}` : origin;
  return [
    ["host", `localhost:${port}`],
    ...kept,
    ...(local === null ? [] : [["origin", local] as const]),
    ["x-forwarded-host", host],
    ["x-forwarded-proto", scheme],
    ...(by === "path" ? [["x-forwarded-prefix", `/preview/${token}`] as const] : []),
  ];
}

/** What the browser is sent. */
export function headersOutward(answered: Headers, passage: Passage): Headers {
  const dropped = namedByConnection(answered);
  const kept = answered.flatMap(([header, value]): Headers => {
    const name = header.toLowerCase();
    if (betweenTwo.has(name) || onlyForOthers.has(name) || dropped.has(name)) return [];
    if (name === "location") return [[header, moved(value, passage)]];
    if (name === "set-cookie") return passage.by === "path" ? [] : [[header, ofThisHost(value)]];
    if (name === "referrer-policy") return [];
    if (passage.by === "path" && name.startsWith("access-control-")) return [];
    return [[header, value]];
  });
  // The address is a secret: pages do not tell it to others by accident.
  const always: Headers = [
    ["referrer-policy", "no-referrer"],
    ["x-robots-tag", "noindex"],
  ];
  return [...kept, ...always, ...(passage.by === "path" ? pathHeaders : [])];
}

/** A page without a shared origin reads its own server's answers as a stranger would. */
const pathHeaders: Headers = [
  ["content-security-policy", ownOrigin],
  ["access-control-allow-origin", "*"],
  ["access-control-expose-headers", "*"],
];

export const preflightHeaders: Headers = [
  ["access-control-allow-origin", "*"],
  ["access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"],
  ["access-control-allow-headers", "*"],
  ["access-control-max-age", "600"],
];

/** Of an answer that opens a WebSocket: nothing else says anything then. */
export function headersOfUpgrade(answered: Headers): Headers {
  const websocket = answered.filter(([name]) => name.toLowerCase().startsWith("sec-websocket-"));
  return [["connection", "Upgrade"], ["upgrade", "websocket"], ...websocket];
}

export function valueOf(headers: Headers, wanted: string): string | null {
  return headers.find(([name]) => name.toLowerCase() === wanted)?.[1] ?? null;
}

function namedByConnection(headers: Headers): ReadonlySet<string> {
  const named = headers
    .filter(([name]) => name.toLowerCase() === "connection")
    .flatMap(([, value]) => value.split(","));
  return new Set(named.map((name) => name.trim().toLowerCase()));
}

function hostOf(origin: string | null): string | null {
  return origin === null || !URL.canParse(origin) ? null : new URL(origin).host;
}

/** A redirect within the server stays within the preview. */
function moved(location: string, { by, token, port }: Passage): string {
  const own = /^https?:\/\/(?:localhost|127\.0\.0\.1)(?::(\d+))?(?=[/?#]|$)/i.exec(location);
  const isOwn = own !== null && Number(own[1] ?? 80) === port;
  const path = own !== null && isOwn ? location.slice(own[0].length) || "/" : location;
  return by === "path" && path.startsWith("/") && !path.startsWith("//") ? `/preview/${token}${path}` : path;
}

/** Without a domain it belongs to this name alone. */
function ofThisHost(cookie: string): string {
  const attributes = cookie.split(";").filter((part, index) => index === 0 || !/^\s*domain\s*=?/i.test(part));
  return attributes.join(";");
}
