/** Who is calling: an API key, sent as a Bearer token or as `x-api-key`. @module */
import { Problem } from "../errors.ts";
import type { Principal } from "../orgs/principal.ts";

/** Looks an API key up; null when it is unknown or revoked. */
export type Authenticate = (apiKey: string) => Promise<Principal | null>;

/** The key a request carries. `Authorization` wins when both headers are there, as it names its scheme. */
function readApiKey(headers: Headers): string | null {
  const authorization = headers.get("authorization");
  if (authorization !== null) {
    const match = /^Bearer +([^\s]+)$/i.exec(authorization.trim());
    return match?.[1] ?? null;
  }
  return headers.get("x-api-key");
}

/**
 * @throws Problem `unauthenticated`; the message never repeats what was sent.
 */
export async function authenticateRequest(headers: Headers, authenticate: Authenticate): Promise<Principal> {
  const key = readApiKey(headers);
  if (key === null || key === "") {
    throw new Problem(
      "unauthenticated",
      "The request carries no API key.",
      "Send `Authorization: Bearer <key>` or `x-api-key: <key>`.",
    );
  }
  const principal = key.length <= 512 ? await authenticate(key) : null;
  if (principal === null) {
    throw new Problem(
      "unauthenticated",
      "The API key is unknown or has been revoked.",
      "Use a key of this server; its first key was printed when it was first started.",
    );
  }
  return principal;
}
