import { describe, expect, it } from "vitest";
import { headersInward, headersOutward, type Passage, valueOf } from "./headers.ts";

const byPath: Passage = { by: "path", token: "t0ken", port: 3000, host: "127.0.0.1:4848", scheme: "http" };
const byHost: Passage = { ...byPath, by: "host", host: "t0ken.localhost:4848" };

describe("towards the sandbox", () => {
  it("nothing of ours goes along, and nothing that is between browser and server", () => {
    const sent = headersInward(
      [
        ["Host", "127.0.0.1:4848"],
        ["Authorization", "Bearer secret"],
        ["X-Api-Key", "secret"],
        ["Cookie", "a=secret"],
        ["Referer", "http://127.0.0.1:4848/preview/secret/"],
        ["X-Forwarded-For", "1.2.3.4"],
        ["Connection", "keep-alive, X-Private"],
        ["X-Private", "secret"],
        ["Keep-Alive", "9"],
        ["Accept", "text/html"],
        ["Content-Length", "3"],
      ],
      byPath,
    );
    expect(sent).toEqual([
      ["host", "localhost:3000"],
      ["Accept", "text/html"],
      ["Content-Length", "3"],
      ["x-forwarded-host", "127.0.0.1:4848"],
      ["x-forwarded-proto", "http"],
      ["x-forwarded-prefix", "/preview/t0ken"],
    ]);
  });

  it.each([
    ["null", byPath, "http://localhost:3000"],
    ["http://t0ken.localhost:4848", byHost, "http://localhost:3000"],
    ["https://evil.example", byHost, "https://evil.example"],
    ["not an origin", byHost, "not an origin"],
  ])("the origin %s is told as %s says", (origin, passage, expected) => {
    expect(valueOf(headersInward([["Origin", origin]], passage), "origin")).toBe(expected);
  });

  it("cookies go along where the page has a host name of its own", () => {
    expect(valueOf(headersInward([["Cookie", "a=b"]], byHost), "cookie")).toBe("a=b");
  });
});

describe("towards the browser", () => {
  const hostile = [
    ["Set-Cookie", "a=b; Domain=localhost; Path=/"],
    ["Clear-Site-Data", '"*"'],
    ["Strict-Transport-Security", "max-age=1"],
    ["Service-Worker-Allowed", "/"],
    ["WWW-Authenticate", "Basic"],
    ["Access-Control-Allow-Origin", "https://evil.example"],
    ["Access-Control-Allow-Credentials", "true"],
    ["Content-Security-Policy", "sandbox allow-same-origin allow-scripts"],
    ["Referrer-Policy", "unsafe-url"],
    ["Transfer-Encoding", "chunked"],
    ["Content-Type", "text/html"],
  ] as const;

  it("a page at our address gets an origin of its own, whatever it asks for, and says nothing for ours", () => {
    expect(headersOutward(hostile, byPath)).toEqual([
      ["Content-Security-Policy", "sandbox allow-same-origin allow-scripts"],
      ["Content-Type", "text/html"],
      ["referrer-policy", "no-referrer"],
      ["x-robots-tag", "noindex"],
      // Of several policies each must allow: none gives back what this one takes.
      ["content-security-policy", "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads"],
      ["access-control-allow-origin", "*"],
      ["access-control-expose-headers", "*"],
    ]);
  });

  it("a page with a host name of its own keeps its cookies for that name", () => {
    expect(headersOutward(hostile, byHost)).toEqual([
      ["Set-Cookie", "a=b; Path=/"],
      ["Access-Control-Allow-Origin", "https://evil.example"],
      ["Access-Control-Allow-Credentials", "true"],
      ["Content-Security-Policy", "sandbox allow-same-origin allow-scripts"],
      ["Content-Type", "text/html"],
      ["referrer-policy", "no-referrer"],
      ["x-robots-tag", "noindex"],
    ]);
  });

  it.each([
    ["/login", byPath, "/preview/t0ken/login"],
    ["http://localhost:3000/login", byPath, "/preview/t0ken/login"],
    ["http://localhost:3000", byPath, "/preview/t0ken/"],
    ["http://localhost:3001/login", byPath, "http://localhost:3001/login"],
    ["http://localhost.evil.example/", byPath, "http://localhost.evil.example/"],
    ["//evil.example/", byPath, "//evil.example/"],
    ["next", byPath, "next"],
    ["http://127.0.0.1:3000/login", byHost, "/login"],
  ])("a redirect to %s leads on", (location, passage, expected) => {
    expect(valueOf(headersOutward([["Location", location]], passage), "location")).toBe(expected);
  });
});
