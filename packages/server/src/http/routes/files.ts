/** /v1/files @module */
import { Readable } from "node:stream";
import { expiryRange, fileDeletion, uploadedFile, type UploadedFile, uploadedFilePage } from "@exoloop/protocol/files";
import { z } from "zod";
import { Problem } from "../../errors.ts";
import { contentDisposition, safeFileName, safeMediaType } from "../../uploads/file-name.ts";
import type { NewFile, UploadedFiles } from "../../uploads/uploaded-files.ts";
import { readListQuery, writePage } from "../pages.ts";
import { limit, page } from "../query.ts";
import { type RouteContext, addRoute } from "../route.ts";
import { readField, readParts } from "../streamed-upload.ts";

const tag = "Files";
const list = "/v1/files";
const item = `${list}/{file_id}` as const;
const mostIds = 100;

export function addFileRoutes(context: RouteContext, files: UploadedFiles): void {
  addRoute(
    context,
    { method: "post", path: list, summary: "Upload a file", tag, readsBody: true, answer: uploadedFile },
    ({ principal, request }) => storeUpload(files, principal, request),
  );
  addListRoute(context, files);
  addRoute(
    context,
    { method: "get", path: item, summary: "Retrieve what is known of a file", tag, answer: uploadedFile },
    ({ principal, parameter }) => files.get(principal.organizationId, parameter("file_id")),
  );
  addRoute(
    context,
    {
      method: "get",
      path: `${item}/content`,
      summary: "Download a file",
      tag,
      answer: uploadedFile,
      stream: "application/octet-stream",
    },
    async ({ principal, parameter }) => {
      const { file, content } = await files.open(principal.organizationId, parameter("file_id"));
      const headers = {
        "content-type": file.mime_type,
        "content-length": String(file.size_bytes),
        "content-disposition": contentDisposition(file.filename),
        "x-content-type-options": "nosniff",
      };
      return new Response(Readable.toWeb(Readable.from(content)) as ReadableStream<Uint8Array>, { headers });
    },
  );
  addRoute(
    context,
    { method: "delete", path: item, summary: "Delete a file", tag, answer: fileDeletion },
    async ({ principal, parameter }) => {
      await files.delete(principal.organizationId, parameter("file_id"));
      return { id: parameter("file_id"), type: "file_deleted" as const };
    },
  );
}

/** In whatever order the parts come: there is no file before the last of them has been read. */
async function storeUpload(
  files: UploadedFiles,
  { organizationId, apiKeyId }: { readonly organizationId: string; readonly apiKeyId: string },
  request: Request,
): Promise<UploadedFile> {
  let file: Omit<NewFile, "expiresIn"> | null = null;
  let expiresIn: number | null = null;
  for await (const part of readParts(request)) {
    if (part.name === "expires_in_seconds" && part.fileName === null && expiresIn === null) {
      expiresIn = readExpiry(await readField(part, 32));
    } else if (part.name === "file" && part.fileName !== null && file === null) {
      const mediaType = safeMediaType(part.mediaType);
      const content = await files.receive(organizationId, part.body);
      file = { fileName: safeFileName(part.fileName, mediaType), mediaType, content };
    } else {
      throw new Problem(
        "invalid_request",
        `${part.name.slice(0, 80)}: is not expected here.`,
        "Send one part named file with a file name, and expires_in_seconds if the file is to expire.",
      );
    }
  }
  if (file !== null) return files.create(organizationId, apiKeyId, { ...file, expiresIn });
  throw new Problem("invalid_request", "file: expected a file, but it is missing.", "Send it as a part named file.");
}

function readExpiry(text: string): number {
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (seconds >= expiryRange.shortest && seconds <= expiryRange.longest) return seconds;
  throw new Problem(
    "invalid_request",
    `expires_in_seconds: must be between ${expiryRange.shortest} and ${expiryRange.longest}.`,
  );
}

function addListRoute(context: RouteContext, files: UploadedFiles): void {
  const query = z.strictObject({
    limit,
    page,
    scope_id: z.string().max(128).optional(),
    "ids[]": z.array(z.string().max(128)).max(1_000).optional(),
  });
  addRoute(
    context,
    { method: "get", path: list, summary: "List files", tag, query, answer: uploadedFilePage },
    async ({ principal, query: asked }) => {
      // No file of this server has a scope, so none matches.
      if (asked.scope_id !== undefined) return { data: [], next_page: null };
      const { organizationId } = principal;
      const ids = asked["ids[]"] === undefined ? null : [...new Set(asked["ids[]"])];
      if (ids !== null && (asked.limit !== undefined || asked.page !== undefined)) {
        throw new Problem("invalid_request", "ids: not together with limit or page.", "Send the one or the other.");
      }
      if (ids !== null && ids.length > mostIds) {
        throw new Problem("invalid_request", `ids: must have at most ${mostIds} members.`);
      }
      const scope = { list: "files", organizationId };
      const listQuery = { ...readListQuery(scope, asked), ...(ids === null ? {} : { limit: mostIds }) };
      const { data, next_page } = writePage(
        scope,
        listQuery,
        await files.list(organizationId, listQuery, ids),
        (row) => row,
      );
      return { data, next_page: ids === null ? next_page : null };
    },
  );
}
