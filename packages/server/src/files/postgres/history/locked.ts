/** Work on a mount that nobody else changes meanwhile. @module */
import type { Kysely, Transaction } from "kysely";
import type { Tables } from "../../../db/tables.ts";
import type { StoredMount } from "../../mounts.ts";
import { lockMount } from "../commit.ts";

class DryRun<Result> extends Error {
  readonly result: Result;
  constructor(result: Result) {
    super("rolled back, as was asked");
    this.result = result;
  }
}

/**
 * @param options `dryRun`: everything is done, and then rolled back.
 * @returns What `work` returns.
 */
export async function withLockedMount<Result>(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  options: { readonly dryRun: boolean },
  work: (transaction: Transaction<Tables>, revision: number) => Promise<Result>,
): Promise<Result> {
  try {
    return await database.transaction().execute(async (transaction) => {
      const result = await work(transaction, await lockMount(transaction, organizationId, mount.key));
      if (options.dryRun) throw new DryRun(result);
      return result;
    });
  } catch (error) {
    if (error instanceof DryRun) return error.result as Result;
    throw error;
  }
}
