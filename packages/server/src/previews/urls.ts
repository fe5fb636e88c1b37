/** Where a preview is found: below a path, and under a host name of its own. Pure. @module */
import { parseToken, tokenLength } from "./token.ts";

export const previewPath = "/preview/";

/** @param origin At which people reach this server. */
export function previewUrls(origin: URL, token: string): { url: string; host_url: string | null } {
  const host = hostOf(origin.hostname);
  const url = new URL(`${previewPath}${token}/`, origin).href;
  if (host === null) return { url, host_url: null };
  const own = new URL("/", origin);
  own.hostname = `${token}.${host}`;
  return { url, host_url: own.href };
}

/** Browsers find every name below `localhost` on this machine. An address has no names below it. */
function hostOf(hostname: string): string | null {
  if (hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.")) return "localhost";
  return /^[0-9.]+$/.test(hostname) || hostname.startsWith("[") ? null : hostname;
}

/**
 * The scheme by which a browser has sent a request: that of the public address for requests to its name and those below,
 * else our own. No header says it: anybody can send one.
 * @example schemeOf("TOKEN.agents.example.com", new URL("https://agents.example.com")) // "https"
 */
export function schemeOf(host: string, publicUrl: URL | null): "http" | "https" {
  const name = host.toLowerCase();
  const isPublic = publicUrl !== null && (name === publicUrl.host || name.endsWith(`.${publicUrl.host}`));
  return isPublic && publicUrl.protocol === "https:" ? "https" : "http";
}

/** What a request asks for, when it is for a preview. */
export interface PreviewRequest {
  /** May be nothing that was ever a token. */
  readonly token: string;
  /** `path`: the page is at our own address. `host`: it has a name, and so an origin, of its own. */
  readonly by: "path" | "host";
  /** Path and query for the port; null where the slash after the token is missing. */
  readonly target: string | null;
}

/**
 * Null: it is for the API.
 * @example readPreviewRequest("127.0.0.1:4848", "/preview/abc/x?y") // { token: "abc", by: "path", target: "/x?y" }
 */
export function readPreviewRequest(host: string | undefined, url: string): PreviewRequest | null {
  const label = /^([0-9A-Za-z]+)\./.exec(host ?? "")?.[1] ?? "";
  if (label.length === tokenLength && parseToken(label) !== null) return { token: label, by: "host", target: url };
  if (!url.startsWith(previewPath)) return null;
  const rest = url.slice(previewPath.length);
  const end = rest.search(/[/?#]/);
  if (end === -1) return { token: rest, by: "path", target: null };
  if (rest.charAt(end) !== "/") return { token: rest.slice(0, end), by: "path", target: null };
  return { token: rest.slice(0, end), by: "path", target: rest.slice(end) };
}
