/**
 * Reads multipart/form-data (RFC 7578, RFC 2046 §5.1) part by part, without ever holding more of a body than a piece and
 * a delimiter.
 * @module
 */
import { Problem } from "../errors.ts";

export interface UploadPart {
  readonly name: string;
  /** As sent; null for a field that is no file. */
  readonly fileName: string | null;
  readonly mediaType: string | null;
  /** To be read to its end before the next part is asked for. */
  readonly body: AsyncIterable<Uint8Array>;
}

const longestHead = 8_192;

/**
 * @example for await (const part of readParts(request)) if (part.name === "file") await store(part.body)
 * @throws Problem `invalid_request`
 */
export async function* readParts(request: Request): AsyncGenerator<UploadPart> {
  const boundary = boundaryOf(request.headers.get("content-type") ?? "");
  if (request.body === null) throw cutShort();
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  // The first delimiter may stand at the very beginning.
  const pieces = new Pieces(request.body, Buffer.from("\r\n"));
  for await (const _preamble of pieces.until(delimiter)) continue;
  while (!(await pieces.ends())) {
    const head = readHead(await pieces.text("\r\n\r\n", longestHead));
    let open = true;
    yield {
      ...head,
      body: (async function* () {
        yield* pieces.until(delimiter);
        open = false;
      })(),
    };
    if (open) throw new Error("a part was not read to its end");
  }
}

/** The text of a short field. @throws Problem `invalid_request` */
export async function readField(part: UploadPart, maximum: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of part.body) {
    size += chunk.length;
    if (size > maximum) throw new Problem("invalid_request", `${part.name.slice(0, 80)}: is too long.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

class Pieces {
  #held: Buffer;
  readonly #source: AsyncIterator<Uint8Array>;
  constructor(source: AsyncIterable<Uint8Array>, held: Buffer) {
    this.#source = source[Symbol.asyncIterator]();
    this.#held = held;
  }

  /** What comes before the delimiter, which is taken too. */
  async *until(delimiter: Buffer): AsyncGenerator<Uint8Array> {
    for (;;) {
      const at = this.#held.indexOf(delimiter);
      if (at !== -1) {
        const last = this.#held.subarray(0, at);
        this.#held = this.#held.subarray(at + delimiter.length);
        if (last.length > 0) yield last;
        return;
      }
      // A delimiter may have begun in what is kept.
      const sure = Math.max(0, this.#held.length - delimiter.length + 1);
      const piece = this.#held.subarray(0, sure);
      this.#held = this.#held.subarray(sure);
      if (piece.length > 0) yield piece;
      await this.#more();
    }
  }

  async text(end: string, longest: number): Promise<string> {
    for (;;) {
      const at = this.#held.indexOf(end);
      if (at > longest || (at === -1 && this.#held.length > longest)) {
        throw new Problem("invalid_request", "A part of the upload has a head that is too long.");
      }
      if (at !== -1) {
        const text = this.#held.toString("utf8", 0, at);
        this.#held = this.#held.subarray(at + end.length);
        return text;
      }
      await this.#more();
    }
  }

  /** After a delimiter: whether it was the last. Otherwise the head of a part follows. */
  async ends(): Promise<boolean> {
    while (this.#held.length < 2) await this.#more();
    if (this.#held.toString("latin1", 0, 2) === "--") return true;
    const padding = await this.text("\r\n", 100);
    if (padding.trim() !== "") throw malformed();
    return false;
  }

  async #more(): Promise<void> {
    let next: IteratorResult<Uint8Array>;
    try {
      next = await this.#source.next();
    } catch {
      throw cutShort();
    }
    if (next.done === true) throw cutShort();
    this.#held = Buffer.concat([this.#held, next.value]);
  }
}

function boundaryOf(type: string): string {
  const boundary = /^multipart\/form-data\s*;.*?\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(type);
  const found = boundary?.[1] ?? boundary?.[2];
  if (found !== undefined) return found;
  throw new Problem("invalid_request", "The body is not an upload.", "Send a file as multipart/form-data.");
}

function readHead(text: string): Omit<UploadPart, "body"> {
  const lines = text.split("\r\n").map((line) => line.split(":"));
  const field = (wanted: string) =>
    lines.flatMap(([name = "", ...value]) => (name.trim().toLowerCase() === wanted ? [value.join(":").trim()] : []))[0];
  const disposition = field("content-disposition") ?? "";
  const name = parameterOf(disposition, "name");
  if (!/^form-data\b/i.test(disposition) || name === null) throw malformed();
  return { name, fileName: parameterOf(disposition, "filename"), mediaType: field("content-type") ?? null };
}

/** Browsers and fetch send a quote as %22 (HTML, "multipart/form-data encoding algorithm"). */
function parameterOf(disposition: string, name: string): string | null {
  const found = new RegExp(`;\\s*${name}="((?:[^"\\\\]|\\\\.)*)"`, "i").exec(disposition)?.[1];
  if (found === undefined) return new RegExp(`;\\s*${name}=([^\\s;"]+)`, "i").exec(disposition)?.[1] ?? null;
  return found
    .replaceAll(/\\(.)/g, "$1")
    .replaceAll("%22", '"')
    .replaceAll(/%0[aA]|%0[dD]/g, " ");
}

function malformed(): Problem {
  return new Problem("invalid_request", "The upload cannot be read.", "Send a file as multipart/form-data.");
}

function cutShort(): Problem {
  return new Problem("invalid_request", "The upload ended before it was complete.", "Send the request again.");
}
