/** What is answered when a preview shows nothing: a page for browsers, JSON for programs. @module */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { PreviewRefusal } from "./previews.ts";

export type PreviewFailure = PreviewRefusal | "broken" | "silent" | "too_large" | "too_many" | "fault";

const failures: Readonly<Record<PreviewFailure, readonly [status: number, title: string, text: string]>> = {
  unknown: [404, "No such preview", "This address is not one that the server has made, or not all of it is there."],
  expired: [410, "This preview has expired", "Ask for a new address."],
  session_ended: [410, "The session has ended", "Its sandbox is gone, and with it everything that listened there."],
  no_sandbox: [
    503,
    "The session has no sandbox at the moment",
    "It was put away, replaced or killed. The agent's next command makes a new one; then its server must be started again.",
  ],
  nobody_listens: [
    502,
    "Nothing listens on this port",
    "The server in the sandbox has not been started, has ended, or listens on another port.",
  ],
  unreachable: [503, "The sandbox cannot be reached", "Try again in a moment."],
  broken: [502, "The server in the sandbox broke off", "It closed the connection, or what it sent is not HTTP."],
  silent: [504, "The server in the sandbox does not answer", "It has taken the request and said nothing for a minute."],
  too_large: [413, "The request is too large", "A preview takes up to 64 MB at a time."],
  too_many: [429, "Too many connections", "A session's previews have up to 64 at a time."],
  fault: [500, "The server failed", "This is a fault of the server, not of what runs in the sandbox."],
};

export function answerFailure(incoming: IncomingMessage, outgoing: ServerResponse, failure: PreviewFailure): void {
  if (outgoing.headersSent || outgoing.destroyed) {
    outgoing.destroy();
    return;
  }
  const [status, title, text] = failures[failure];
  const html = (incoming.headers.accept ?? "").includes("text/html");
  const body = html ? writePage(title, text) : writeJson(failure, title, text);
  outgoing.writeHead(status, {
    "content-type": html ? "text/html; charset=utf-8" : "application/json",
    "content-length": Buffer.byteLength(body),
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    // What is left of the request is not read.
    connection: "close",
  });
  outgoing.end(incoming.method === "HEAD" ? undefined : body);
}

/** Nothing in it comes from the request or from the sandbox. */
function writePage(title: string, text: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em;color:#222;background:#fff}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}}</style>
<h1>${title}</h1><p>${text}</p></html>
`;
}

function writeJson(code: PreviewFailure, message: string, hint: string): string {
  const error = { type: "preview_error", message: `${message}.`, code, hint, details: { error_code: code } };
  return JSON.stringify({ type: "error", error, request_id: null });
}
