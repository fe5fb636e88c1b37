/**
 * Statements that are planned once for each connection. For the few that run with every step: planning one of them takes
 * longer than running it.
 * @module
 */
import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from "kysely";
import type { Pool, PoolClient } from "pg";

/**
 * A statement that begins with this comment is kept. Its text must be one of a few: each is kept for ever.
 * @example sql`${prepared} select 1`
 */
export const preparedMark = "/* prepared */";

/** The pool as Kysely wants it; it names the marked statements, which is what makes Postgres keep them. */
export function keepingPrepared(pool: Pool): PostgresPool {
  const names = new Map<string, string>();
  // One for each connection and always the same: Kysely tells connections apart by it.
  const wrapped = new WeakMap<PoolClient, PostgresPoolClient>();
  const nameOf = (text: string): string => {
    const name = names.get(text) ?? `exoloop_${names.size + 1}`;
    names.set(text, name);
    return name;
  };
  const wrap = (client: PoolClient): PostgresPoolClient => {
    const query = (text: string, values: readonly unknown[]) =>
      text.startsWith(preparedMark)
        ? client.query({ name: nameOf(text), text, values: [...values] })
        : client.query(text, [...values]);
    // Kysely reads with cursors only where one is configured, which is nowhere.
    return {
      query: query as <Row>(text: string, values: readonly unknown[]) => Promise<PostgresQueryResult<Row>>,
      release: (destroy?: boolean) => client.release(destroy),
    } as PostgresPoolClient;
  };
  return {
    async connect() {
      const client = await pool.connect();
      const known = wrapped.get(client) ?? wrap(client);
      wrapped.set(client, known);
      return known;
    },
    end: () => pool.end(),
    options: pool.options,
  };
}
