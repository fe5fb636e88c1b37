import { describe, expect, it } from "vitest";
import { isSigned, parseToken, tokenLength, writeToken } from "./token.ts";
import { previewUrls, readPreviewRequest, schemeOf } from "./urls.ts";

const key = new Uint8Array(32).fill(7);
const target = {
  sessionId: "sesn_01M8BT25F0E5HKM5ZTGPBC6YCA",
  organizationId: "org_1",
  port: 65_535,
  expiresAt: 2_000_000_000,
};
const token = writeToken(key, target);

/** The claim of a token, which must have the form of one. */
function claimOf(text: string) {
  const claim = parseToken(text);
  if (claim === null) throw new Error("not a token");
  return claim;
}

describe("a token", () => {
  it("says what it opens, fits into a label of a host name, and is good in either case of letters", () => {
    expect(token).toMatch(/^[0-9a-z]{63}$/);
    expect(token).toHaveLength(tokenLength);
    const { sessionId, port, expiresAt } = target;
    expect(parseToken(token)).toMatchObject({ sessionId, port, expiresAt });
    expect(isSigned(key, claimOf(token.toUpperCase()), "org_1")).toBe(true);
  });

  it("is void when anything of it, the key or the organization is another", () => {
    for (let index = 0; index < token.length; index += 1) {
      const other = token.slice(0, index) + (token[index] === "1" ? "2" : "1") + token.slice(index + 1);
      const claim = parseToken(other);
      expect(claim !== null && isSigned(key, claim, "org_1")).toBe(false);
    }
    expect(isSigned(new Uint8Array(32), claimOf(token), "org_1")).toBe(false);
    expect(isSigned(key, claimOf(token), "org_2")).toBe(false);
    expect(isSigned(key, { ...claimOf(token), port: 80 }, "org_1")).toBe(false);
  });

  it("carries 130 bits of signature that differ between targets", () => {
    const signatures = Array.from({ length: 200 }, (_, index) =>
      writeToken(key, { ...target, port: index + 1 }).slice(-26),
    );
    expect(new Set(signatures).size).toBe(200);
    for (let place = 0; place < 26; place += 1) {
      expect(new Set(signatures.map((one) => one[place])).size).toBeGreaterThan(20);
    }
  });

  it.each(["", "x", "..", `${token}0`, token.slice(1), `${token.slice(0, 62)}é`, `${token.slice(0, 62)}u`])(
    "%j is none",
    (text) => expect(parseToken(text)).toBeNull(),
  );
});

describe("addresses", () => {
  it.each([
    ["http://127.0.0.1:4848/", `http://${token}.localhost:4848/`],
    ["http://localhost:4848/", `http://${token}.localhost:4848/`],
    ["https://exoloop.example/", `https://${token}.exoloop.example/`],
    ["http://10.0.0.1:4848/", null],
    ["http://[fd00::1]:4848/", null],
  ])("at %s have a host %s", (origin, host) => {
    const urls = previewUrls(new URL(origin), token);
    expect(urls).toEqual({ url: `${origin}preview/${token}/`, host_url: host });
  });

  it.each([
    ["agents.example.com", "https://agents.example.com", "https"],
    ["T0ken.Agents.Example.com", "https://agents.example.com", "https"],
    ["agents.example.com:8443", "https://agents.example.com:8443", "https"],
    ["agents.example.com", "https://agents.example.com:8443", "http"],
    ["notagents.example.com", "https://agents.example.com", "http"],
    ["127.0.0.1:4600", "https://agents.example.com", "http"],
    ["agents.example.com", "http://agents.example.com", "http"],
  ] as const)("of a request to %s are, behind %s, of the scheme %s", (host, publicUrl, scheme) => {
    expect(schemeOf(host, new URL(publicUrl))).toBe(scheme);
    expect(schemeOf(host, null)).toBe("http");
  });

  it.each([
    ["a:1", `/preview/${token}/x/y?z`, { token, by: "path", target: "/x/y?z" }],
    ["a:1", `/preview/${token}`, { token, by: "path", target: null }],
    ["a:1", `/preview/${token}?q`, { token, by: "path", target: null }],
    ["a:1", "/preview/../v1/agents", { token: "..", by: "path", target: "/v1/agents" }],
    [`${token}.localhost:1`, "/v1/agents", { token, by: "host", target: "/v1/agents" }],
    ["a:1", "/v1/sessions", null],
    [undefined, "/previews", null],
    ["www.localhost", "/", null],
  ])("%s %s is %j", (host, url, expected) => expect(readPreviewRequest(host, url)).toEqual(expected));
});
