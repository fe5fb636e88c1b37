/**
 * Lists by creation. A position is exact to the microsecond, as the database's clock is: a Date would lose three
 * digits, and rows between two roundings would be skipped or repeated.
 * @module
 */
import { type RawBuilder, sql } from "kysely";

/** The place of one row in a list. */
export interface ListPosition {
  /** RFC 3339 in UTC with six fractional digits. */
  readonly createdAt: string;
  readonly id: string;
}

export interface TimeRange {
  readonly gt?: Date;
  readonly gte?: Date;
  readonly lt?: Date;
  readonly lte?: Date;
}

export interface ListQuery {
  readonly limit: number;
  /** The page starts beyond this row; null starts at the list's beginning. */
  readonly position: ListPosition | null;
  /** `previous` reads the page that ends just before `position`, still answered in `order`. */
  readonly direction: "next" | "previous";
  readonly order: "asc" | "desc";
  readonly includeArchived: boolean;
  readonly created?: TimeRange;
}

export interface ListPage<Row> {
  readonly rows: readonly Row[];
  /** Position of the page's last row when more follow. */
  readonly next: ListPosition | null;
  /** Position of the page's first row when more precede. */
  readonly previous: ListPosition | null;
}

/** The exact position of a row in a table with `created_at`; select it as `list_position`. */
export const positionColumn: RawBuilder<string> = sql<string>`to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** The order in which rows are read: against `order` when the page before a position is wanted. */
export function readOrder(query: Pick<ListQuery, "direction" | "order">): "asc" | "desc" {
  if (query.direction === "next") return query.order;
  return query.order === "asc" ? "desc" : "asc";
}

/**
 * The condition of every list: archived, created and beyond the position. The table needs `id`, `created_at` and
 * `archived_at`. Read `limit + 1` rows in `readOrder`, then make the page with `listPage`.
 */
export function listCondition(query: ListQuery): RawBuilder<boolean> {
  const conditions: RawBuilder<unknown>[] = [sql`true`];
  if (!query.includeArchived) conditions.push(sql`archived_at is null`);
  const { gt, gte, lt, lte } = query.created ?? {};
  if (gt !== undefined) conditions.push(sql`created_at > ${gt}`);
  if (gte !== undefined) conditions.push(sql`created_at >= ${gte}`);
  if (lt !== undefined) conditions.push(sql`created_at < ${lt}`);
  if (lte !== undefined) conditions.push(sql`created_at <= ${lte}`);
  if (query.position !== null) {
    const beyond = readOrder(query) === "asc" ? sql`>` : sql`<`;
    const { createdAt, id } = query.position;
    conditions.push(sql`(created_at, id) ${beyond} (${createdAt}::timestamptz, ${id})`);
  }
  return sql<boolean>`(${sql.join(conditions, sql` and `)})`;
}

/**
 * Makes a page of up to `limit` from at most `limit + 1` rows read in `readOrder`: the extra row only tells that more
 * follow.
 * @example listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }))
 */
export function listPage<Row>(
  query: ListQuery,
  read: readonly Row[],
  positionOf: (row: Row) => ListPosition,
): ListPage<Row> {
  const more = read.length > query.limit;
  const rows = read.slice(0, query.limit);
  if (query.direction === "previous") rows.reverse();
  const first = rows[0];
  const last = rows.at(-1);
  const followed = query.direction === "next" ? more : true;
  const preceded = query.direction === "next" ? query.position !== null : more;
  return {
    rows,
    next: last !== undefined && followed ? positionOf(last) : null,
    previous: first !== undefined && preceded ? positionOf(first) : null,
  };
}
