/** Reads an upload (multipart/form-data, RFC 7578), within bounds. @module */
import { Problem } from "../errors.ts";
import { readBytes } from "./body.ts";

export interface UploadedFile {
  /** The part's name, without the brackets of a list. */
  readonly field: string;
  /** As sent: with directories where the sender names them. */
  readonly fileName: string;
  readonly bytes: Uint8Array;
}

export interface Upload {
  readonly files: readonly UploadedFile[];
  readonly texts: ReadonlyMap<string, string>;
}

const mostParts = 1_100;

/**
 * @param maximum Bytes of the whole body.
 * @throws Problem `body_too_large`, `invalid_request`
 */
export async function readUpload(request: Request, maximum: number): Promise<Upload> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^multipart\/form-data\s*;/i.test(type))
    throw new Problem("invalid_request", "The body is not an upload.", "Send files as multipart/form-data.");
  const bytes = await readBytes(request, maximum);
  const form = await new Response(Buffer.from(bytes), { headers: { "content-type": type } })
    .formData()
    .catch(() => null);
  if (form === null)
    throw new Problem("invalid_request", "The upload cannot be read.", "Send files as multipart/form-data.");
  const files: UploadedFile[] = [];
  const texts = new Map<string, string>();
  for (const [name, value] of form.entries()) {
    if (files.length + texts.size >= mostParts)
      throw new Problem("invalid_request", `The upload has more than ${mostParts} parts.`, "Send fewer files.");
    const field = name.replace(/\[\]$/, "");
    if (typeof value !== "string")
      files.push({ field, fileName: value.name, bytes: new Uint8Array(await value.arrayBuffer()) });
    else if (texts.has(field))
      throw new Problem("invalid_request", `${field.slice(0, 80)}: the upload has it twice.`, "Send it once.");
    else texts.set(field, value);
  }
  return { files, texts };
}
