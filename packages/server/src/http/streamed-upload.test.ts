import { expect, test } from "vitest";
import { readParts } from "./streamed-upload.ts";

const type = "multipart/form-data; boundary=edge";

async function partsOf(body: string, pieceLength: number) {
  const bytes = Buffer.from(body);
  let at = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.subarray(at, at + pieceLength));
      at += pieceLength;
    },
  });
  const request = new Request("http://localhost/", {
    method: "POST",
    headers: { "content-type": type },
    body: stream,
    duplex: "half",
  } as RequestInit);
  const found: [string, string | null, string | null, string][] = [];
  for await (const part of readParts(request)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of part.body) chunks.push(chunk);
    found.push([part.name, part.fileName, part.mediaType, Buffer.concat(chunks).toString()]);
  }
  return found;
}

test("parts are the same however the body is cut", async () => {
  const tricky = "a\r\n--edg\r\n--\r\n\r\n-edge\r\r\n";
  const body = [
    "--edge",
    'Content-Disposition: form-data; name="file"; filename="a%22b.txt"',
    "Content-Type: text/plain",
    "",
    tricky,
    "--edge  ",
    "content-disposition: form-data; name=field",
    "",
    "",
    "--edge--",
  ].join("\r\n");
  for (const length of [1, 2, 3, 7, 50, 10_000]) {
    expect(await partsOf(body, length)).toEqual([
      ["file", 'a"b.txt', "text/plain", tricky],
      ["field", null, null, ""],
    ]);
  }
});

test("a body that ends early, at whatever byte, is refused", async () => {
  const body = '--edge\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n--edge--';
  for (let length = 0; length < body.length; length += 1) {
    await expect(partsOf(body.slice(0, length), 5)).rejects.toMatchObject({ code: "invalid_request" });
  }
  expect(await partsOf(body, 5)).toHaveLength(1);
});
