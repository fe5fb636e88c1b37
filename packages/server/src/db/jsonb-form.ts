/** A value as a `jsonb` column gives it back. @module */
import { storableJson } from "./storable-json.ts";

/**
 * Postgres keeps the keys of an object by length, then by their bytes (https://www.postgresql.org/docs/18/datatype-json.html
 * promises no order; this is the one it has). What a driver has in memory must read like what another one loads: a model's
 * request whose beginning differs by the order of keys alone misses the provider's prompt cache.
 * @example JSON.stringify(jsonbForm({ text: "a", b: 1 })) // {"b":1,"text":"a"}
 */
export function jsonbForm(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return order(JSON.parse(storableJson(value))) as Readonly<Record<string, unknown>>;
}

function order(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(order);
  if (typeof value !== "object" || value === null) return value;
  const members: [string, unknown][] = Object.entries(value);
  const entries = members.map(([key, entry]) => ({ key, bytes: Buffer.from(key), entry }));
  entries.sort((left, right) => left.bytes.length - right.bytes.length || Buffer.compare(left.bytes, right.bytes));
  return Object.fromEntries(entries.map(({ key, entry }) => [key, order(entry)]));
}
