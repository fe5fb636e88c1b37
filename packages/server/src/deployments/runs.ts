/** The records of runs in Postgres. @module */
import type { Kysely } from "kysely";
import { listCondition, listPage, positionColumn, readOrder } from "../agents/list.ts";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import type { DeploymentRuns } from "./port.ts";
import { toRun } from "./row.ts";

export function createDeploymentRuns(database: Kysely<Tables>): DeploymentRuns {
  return {
    async get(organizationId, runId) {
      const row = await database
        .selectFrom("deployment_runs")
        .selectAll()
        .where("organization_id", "=", organizationId)
        .where("id", "=", runId)
        .executeTakeFirst();
      if (row !== undefined) return toRun(row);
      throw new Problem(
        "not_found",
        `No deployment run has the id ${JSON.stringify(runId)}.`,
        "List them with GET /v1/deployment_runs.",
      );
    },
    async list(organizationId, query) {
      let select = database
        .selectFrom("deployment_runs")
        .selectAll()
        .select(positionColumn.as("list_position"))
        .where("organization_id", "=", organizationId)
        .where(listCondition(query));
      if (query.deploymentId !== undefined) select = select.where("deployment_id", "=", query.deploymentId);
      if (query.hasError !== undefined) select = select.where("error", query.hasError ? "is not" : "is", null);
      if (query.trigger !== undefined) {
        select = select.where("scheduled_at", query.trigger === "schedule" ? "is not" : "is", null);
      }
      const rows = await select
        .orderBy("created_at", readOrder(query))
        .orderBy("id", readOrder(query))
        .limit(query.limit + 1)
        .execute();
      const page = listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
      return { ...page, rows: page.rows.map(toRun) };
    },
  };
}
