import { describe, expect, it } from "vitest";
import { answerOf } from "../testing.ts";
import { extractPdfText } from "./extract-text.ts";
import { isPdf, showPdf } from "./show-pdf.ts";
import { pdfOf } from "./testing.ts";

const small = pdfOf(["Hello there", "", "Third"]);
const long = pdfOf(Array.from({ length: 25 }, (_none, index) => `Page number ${index + 1}`));

describe("a PDF", () => {
  it("that is small is a document, with its text for models that take none", async () => {
    const { content, isError } = await showPdf("/a.pdf", small, undefined);
    expect(isError).toBe(false);
    expect(content).toEqual([
      {
        type: "document",
        mediaType: "application/pdf",
        base64: Buffer.from(small).toString("base64"),
        text: "[page 1 of 3]\nHello there\n\n[page 2 of 3]\n[no text: it may be a picture]\n\n[page 3 of 3]\nThird",
      },
    ]);
  }, 30_000);

  it.each([
    [small, "3", "[page 3 of 3]\nThird"],
    [
      small,
      "1-9",
      "[page 1 of 3]\nHello there\n\n[page 2 of 3]\n[no text: it may be a picture]\n\n[page 3 of 3]\nThird",
    ],
    [small, "4", "read: /a.pdf has 3 pages, so none from 4 on."],
    [long, "24-30", "[page 24 of 25]\nPage number 24\n\n[page 25 of 25]\nPage number 25"],
    [long, undefined, "read: /a.pdf has 25 pages: name some of them with pages, such as 1-5, at most 20 at once."],
    [long, "1-21", 'read: pages must be a number or a range such as 1-5, of at most 20 pages, not "1-21".'],
    [long, "0", 'read: pages must be a number or a range such as 1-5, of at most 20 pages, not "0".'],
    [long, "5-3", 'read: pages must be a number or a range such as 1-5, of at most 20 pages, not "5-3".'],
    [Buffer.from("%PDF-1.7\nnothing of the kind"), undefined, "read: the PDF /a.pdf cannot be read: it is damaged."],
  ])(
    "%#: pages %s",
    async (bytes, pages, expected) => {
      expect(answerOf(await showPdf("/a.pdf", bytes, pages))).toBe(expected);
    },
    30_000,
  );

  it("that takes too much time or memory is given up, and the next one is read", async () => {
    const range = { first: 1, last: 3 };
    const roomy = { timeoutMs: 30_000, growth: 2 ** 40 };
    expect(await extractPdfText(small, range, { ...roomy, timeoutMs: 1 })).toEqual({ type: "too_costly" });
    expect(await extractPdfText(small, range, { ...roomy, growth: -(2 ** 40) })).toEqual({ type: "too_costly" });
    const several = await Promise.all([1, 2, 3, 4, 5].map(() => extractPdfText(small, range, roomy)));
    expect(several.map((answer) => answer.type)).toEqual(["text", "text", "text", "text", "text"]);
  }, 60_000);

  it("is known by its first bytes", () => {
    expect(isPdf(small)).toBe(true);
    expect(isPdf(Buffer.from("a %PDF-"))).toBe(false);
    expect(isPdf(new Uint8Array())).toBe(false);
  });
});
