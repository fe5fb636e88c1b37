/** /v1/x/budgets and /v1/x/usage @module */
import {
  type Budget,
  budget,
  type BudgetDeletion,
  budgetDeletion,
  budgetList,
  type BudgetName,
  budgetQuery,
  type PutBudgetRequest,
  putBudgetRequest,
  usageFilters,
  type UsageReport,
  usageReport,
  type UsageTotal,
} from "@exoloop/protocol/budgets";
import { z } from "zod";
import { Problem } from "../../errors.ts";
import type { Principal } from "../../orgs/principal.ts";
import { type RouteContext, addRoute } from "../route.ts";

export interface BudgetPort {
  list(principal: Principal): Promise<readonly Budget[]>;
  put(principal: Principal, request: PutBudgetRequest): Promise<Budget>;
  delete(principal: Principal, name: BudgetName): Promise<BudgetDeletion>;
  usage(
    principal: Principal,
    query: { readonly period: Budget["period"] } & Omit<z.output<typeof usageParameters>, "period" | "format">,
  ): Promise<UsageReport>;
  writeCsv(totals: readonly UsageTotal[]): string;
}

const tag = "Exoloop";
const path = "/v1/x/budgets";
const usageParameters = z.strictObject({ ...usageFilters, format: z.enum(["json", "csv"]).optional() });

export function addBudgetRoutes(context: RouteContext, budgets: BudgetPort): void {
  addRoute(
    context,
    { method: "get", path, summary: "List shared budgets", tag, admin: true, answer: budgetList },
    async ({ principal }) => ({ data: [...(await budgets.list(principal))] }),
  );
  addRoute(
    context,
    { method: "put", path, summary: "Set a shared budget", tag, admin: true, body: putBudgetRequest, answer: budget },
    ({ principal, body }) => budgets.put(principal, body),
  );
  addRoute(
    context,
    {
      method: "delete",
      path,
      summary: "Remove a shared budget",
      tag,
      admin: true,
      query: budgetQuery,
      answer: budgetDeletion,
    },
    ({ principal, query }) => budgets.delete(principal, query),
  );
  addRoute(
    context,
    {
      method: "get",
      path: "/v1/x/usage",
      summary: "Report usage",
      tag,
      admin: true,
      query: usageParameters,
      answer: usageReport,
    },
    async ({ principal, query: { format, period = "month", ...filters } }) => {
      if (filters.from !== undefined && filters.to !== undefined && filters.from > filters.to) {
        throw new Problem("invalid_request", "from: a later day than the one in to.");
      }
      const report = await budgets.usage(principal, { period, ...filters });
      if (format !== "csv") return report;
      if (report.truncated) {
        throw new Problem("invalid_request", "format: the report is too long for one file.", "Ask for fewer days.");
      }
      return new Response(budgets.writeCsv(report.data), {
        headers: {
          "content-type": "text/csv; charset=utf-8",
          "content-disposition": 'attachment; filename="usage.csv"',
        },
      });
    },
  );
}
