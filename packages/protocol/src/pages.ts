/** Pages of lists. A cursor is opaque: send back what the last page gave. @module */
import { z } from "zod";

export const defaultPageSize = 20;
/** A larger `limit` is not an error; the page is just no larger than this. */
export const maximumPageSize = 1000;

export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({ data: z.array(item), next_page: z.string().nullable() });
}

export function bidirectionalPageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    data: z.array(item),
    next_page: z.string().nullable(),
    prev_page: z.string().nullable(),
  });
}

export interface Page<Item> {
  data: Item[];
  next_page: string | null;
}

export interface BidirectionalPage<Item> extends Page<Item> {
  prev_page: string | null;
}

/** The answer to deleting an object. */
export function deletionOf<Type extends string>(type: Type) {
  return z.object({ id: z.string(), type: z.literal(type) });
}
