/**
 * Cursors: opaque to the caller, and good for one list of one organization only. They carry a position and no right:
 * every page is read with the caller's own organization in its condition.
 * @module
 */
import { defaultPageSize } from "@exoloop/protocol/pages";
import { z } from "zod";
import type { ListPage, ListPosition, ListQuery } from "../agents/list.ts";
import { Problem } from "../errors.ts";

const position = z.strictObject({
  createdAt: z
    .string()
    .regex(/^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    .pipe(z.iso.datetime()),
  id: z.string().regex(/^[\x21-\x7e]{1,128}$/),
});

const rowCursor = z.strictObject({
  direction: z.enum(["next", "previous"]),
  order: z.enum(["asc", "desc"]),
  position,
});
export const numberCursor = z.strictObject({ order: z.enum(["asc", "desc"]), number: z.int().min(0) });

/** What a cursor is bound to. `list` names the list, with the identifiers in its path. */
export interface CursorScope {
  readonly list: string;
  readonly organizationId: string;
}

const version = 1;
const cursorFrame = z.tuple([z.literal(version), z.string(), z.string(), z.unknown()]);

export function encodeCursor(scope: CursorScope, value: object): string {
  const text = JSON.stringify([version, scope.list, scope.organizationId, value]);
  return Buffer.from(text).toString("base64url");
}

/** @throws Problem `invalid_cursor` */
export function decodeCursor<Schema extends z.ZodType>(
  scope: CursorScope,
  cursor: string,
  schema: Schema,
): z.output<Schema> {
  const invalid = new Problem(
    "invalid_cursor",
    "page: not a cursor of this list.",
    "Send next_page or prev_page of the page before, with the same other parameters, or leave page out.",
  );
  if (!/^[\w-]+$/.test(cursor)) throw invalid;
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
  } catch {
    throw invalid;
  }
  const frame = cursorFrame.safeParse(content);
  if (!frame.success) throw invalid;
  const [, list, organizationId, value] = frame.data;
  const parsed = schema.safeParse(value);
  if (list !== scope.list || organizationId !== scope.organizationId || !parsed.success) throw invalid;
  return parsed.data;
}

/** The parameters that lists by creation share. */
export interface ListParameters {
  readonly limit?: number | undefined;
  readonly page?: string | undefined;
  readonly order?: "asc" | "desc" | undefined;
  readonly include_archived?: boolean | undefined;
}

/** @throws Problem `invalid_cursor` */
export function readListQuery(scope: CursorScope, parameters: ListParameters): ListQuery {
  const cursor = parameters.page === undefined ? null : decodeCursor(scope, parameters.page, rowCursor);
  const order = parameters.order ?? cursor?.order ?? "desc";
  if (cursor !== null && cursor.order !== order) {
    throw new Problem(
      "invalid_cursor",
      `page: the cursor belongs to the order ${cursor.order}.`,
      "Keep the order from page to page.",
    );
  }
  return {
    limit: parameters.limit ?? defaultPageSize,
    position: cursor?.position ?? null,
    direction: cursor?.direction ?? "next",
    order,
    includeArchived: parameters.include_archived ?? false,
  };
}

function pageCursor(
  scope: CursorScope,
  order: "asc" | "desc",
  direction: "next" | "previous",
  at: ListPosition | null,
): string | null {
  return at === null ? null : encodeCursor(scope, { direction, order, position: at });
}

export function writePage<Row, Item>(
  scope: CursorScope,
  query: ListQuery,
  list: ListPage<Row>,
  toItem: (row: Row) => Item,
): { data: Item[]; next_page: string | null; prev_page: string | null } {
  return {
    data: list.rows.map(toItem),
    next_page: pageCursor(scope, query.order, "next", list.next),
    prev_page: pageCursor(scope, query.order, "previous", list.previous),
  };
}
