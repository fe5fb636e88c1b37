/** Query strings: brackets for lists and ranges, empty values for null, and no unknown keys. @module */
import { maximumPageSize } from "@exoloop/protocol/pages";
import { z } from "zod";
import type { TimeRange } from "../agents/list.ts";
import { Problem } from "../errors.ts";
import { issuesProblem } from "./problem.ts";

/** A page's size; larger ones are cut to the maximum, as callers ask for 1,000 without knowing ours. */
export const limit = z.coerce
  .number<string>()
  .int()
  .min(1)
  .transform((size) => Math.min(size, maximumPageSize))
  .optional();
export const page = z.string().max(1024).optional();
export const order = z.enum(["asc", "desc"]).optional();
export const flag = z
  .enum(["true", "false"])
  .transform((text) => text === "true")
  .optional();
export const count = z.coerce.number<string>().int().min(1).max(Number.MAX_SAFE_INTEGER).optional();

const instant = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .optional();

export const createdRange = {
  "created_at[gt]": instant,
  "created_at[gte]": instant,
  "created_at[lt]": instant,
  "created_at[lte]": instant,
};

/** @example readRange({ "created_at[gte]": new Date(0) }) // { gte: 1970-01-01T00:00:00.000Z } */
export function readRange(query: { [Key in keyof typeof createdRange]?: Date | undefined }): TimeRange {
  const { "created_at[gt]": gt, "created_at[gte]": gte, "created_at[lt]": lt, "created_at[lte]": lte } = query;
  return {
    ...(gt === undefined ? {} : { gt }),
    ...(gte === undefined ? {} : { gte }),
    ...(lt === undefined ? {} : { lt }),
    ...(lte === undefined ? {} : { lte }),
  };
}

/** Keys that say something to other servers and nothing to this one. */
const ignoredKeys = new Set(["beta"]);

/**
 * @example readQuery(new URLSearchParams("types[]=a&types[]=b"), z.strictObject({ "types[]": z.array(z.string()) }))
 * @throws Problem `invalid_request`
 */
export function readQuery<Schema extends z.ZodType>(parameters: URLSearchParams, schema: Schema): z.output<Schema> {
  const values: Record<string, string | string[]> = {};
  for (const key of new Set(parameters.keys())) {
    if (ignoredKeys.has(key)) continue;
    // The official SDKs send null as an empty value.
    const sent = parameters.getAll(key).filter((value) => value !== "");
    const [first] = sent;
    if (first === undefined) continue;
    if (!key.endsWith("[]") && sent.length > 1) {
      throw new Problem("invalid_request", `${key}: the query has it ${sent.length} times.`, "Send it once.");
    }
    if (sent.some((value) => value.includes("\0"))) {
      throw new Problem("invalid_request", `${key}: NUL characters are not allowed.`);
    }
    Object.defineProperty(values, key, { value: key.endsWith("[]") ? sent : first, enumerable: true });
  }
  const parsed = schema.safeParse(values);
  if (!parsed.success) throw issuesProblem(parsed.error.issues);
  return parsed.data;
}
