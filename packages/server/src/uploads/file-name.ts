/** Names and media types of uploaded files, as they are safe to show. Pure. @module */

/** Characters. */
const longestName = 255;
const unknownType = "application/octet-stream";

const extensions: Readonly<Record<string, string>> = {
  "application/json": ".json",
  "application/pdf": ".pdf",
  "application/zip": ".zip",
  "image/gif": ".gif",
  "image/jpeg": ".jpg",
  "image/png": ".png",
  "image/webp": ".webp",
  "text/csv": ".csv",
  "text/html": ".html",
  "text/markdown": ".md",
  "text/plain": ".txt",
};

/**
 * The last part of what was sent, without what is invisible or turns text around.
 * @example safeFileName("C:\\temp\\a.txt", "text/plain") // "a.txt"
 */
export function safeFileName(sent: string | null, mediaType: string): string {
  const last = (sent ?? "").toWellFormed().split(/[\\/]/).at(-1) ?? "";
  const shown = last.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, "").trim();
  if (shown === "" || shown === "." || shown === "..") return `unnamed${extensions[mediaType] ?? ""}`;
  if (shown.length <= longestName) return shown;
  const extension = /\.[A-Za-z0-9]{1,16}$/.exec(shown)?.[0] ?? "";
  return `${shown.slice(0, longestName - extension.length).toWellFormed()}${extension}`;
}

/** @example safeMediaType("Text/Plain; charset=utf-8") // "text/plain" */
export function safeMediaType(sent: string | null): string {
  const type = (sent ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  return /^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}$/.test(type) ? type : unknownType;
}

/** For a header: a plain form, and the name itself (RFC 6266). */
export function contentDisposition(fileName: string): string {
  const plain = fileName.replaceAll(/[^\x20-\x7e]|["\\%]/g, "_");
  const exact = encodeURIComponent(fileName).replaceAll(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${exact}`;
}
