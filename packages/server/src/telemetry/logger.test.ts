import { expect, test } from "vitest";
import { createLogger } from "./logger.ts";

function capture(): { lines: Record<string, unknown>[]; text: string[]; write(line: string): void } {
  const text: string[] = [];
  const lines: Record<string, unknown>[] = [];
  return {
    lines,
    text,
    write(line) {
      text.push(line);
      lines.push(JSON.parse(line) as Record<string, unknown>);
    },
  };
}

test("a line is one JSON object with level, time and message", () => {
  const output = capture();
  createLogger("info", output).info({ session: "sesn_1" }, "turn started");
  expect(output.lines[0]).toMatchObject({ level: "info", session: "sesn_1", msg: "turn started" });
  expect(output.text[0]?.endsWith("\n")).toBe(true);
});

test("lines below the level are not written", () => {
  const output = capture();
  const log = createLogger("warn", output);
  log.info({}, "no");
  log.warn({}, "yes");
  expect(output.lines.map((line) => line.msg)).toEqual(["yes"]);
});

test("secrets are redacted by field, in addresses, and by the form of our keys", () => {
  const output = capture();
  const log = createLogger("info", output);
  log.info({ apiKey: "k-1", headers: { authorization: "Bearer k-2", "x-api-key": "k-3" } }, "request");
  log.error({ error: new Error("connect postgres://u:k-4@host:1/db failed") }, "database");
  log.info({ detail: "used exo_abcdefghijklmnop" }, "key");
  const all = output.text.join("");
  for (const secret of ["k-1", "k-2", "k-3", "k-4", "abcdefghijklmnop"]) expect(all).not.toContain(secret);
  expect(all).toContain("postgres://u:[redacted]@host:1/db");
});

test("no control character is written, and the line stays JSON", () => {
  const output = capture();
  createLogger("info", output).info({ title: "\u001b[2Ja\u009bb\u202ec\u007f\nd" }, "hostile");
  // oxlint-disable-next-line no-control-regex
  expect(output.text[0]?.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  expect(output.lines[0]?.title).toBe("\u001b[2Ja\u009bb\u202ec\u007f\nd");
});
