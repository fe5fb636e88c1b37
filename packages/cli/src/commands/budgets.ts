/** `exoloop budgets list|set|unset` and `exoloop usage`. @module */
import type { Budget, BudgetName, PublicBudgetLimits, UsageTotal } from "@exoloop/protocol/budgets";
import type { Session } from "@exoloop/protocol/sessions";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { CommandError, exitCodes, type ExitCode } from "../exit-codes.ts";
import { escapeToLine } from "../render/escape.ts";
import { describeAmount, describeLimits } from "../render/budget.ts";
import { tableLines } from "../render/table.ts";

interface JsonOption {
  readonly json?: boolean;
}

/** The organization's, unless it names another. */
export interface BudgetTarget extends JsonOption {
  readonly user?: string;
  readonly session?: string;
  readonly period?: Budget["period"];
}

export interface SetBudgetOptions extends BudgetTarget {
  readonly tokens?: number;
  readonly costUsd?: number;
  readonly wallSeconds?: number;
  readonly steps?: number;
  readonly sandboxSeconds?: number;
}

export interface UsageOptions extends JsonOption {
  readonly period: Budget["period"];
  readonly scope?: Budget["scope"];
  readonly subject?: string;
  readonly from?: string;
  readonly to?: string;
  readonly csv?: boolean;
}

export async function listBudgets(context: CommandContext, options: JsonOption): Promise<ExitCode> {
  const budgets = await (await context.connect()).budgets();
  if (options.json === true) writeJson(context.output, { data: budgets });
  else if (budgets.length === 0) writeLine(context.progress, "No budgets. Set one: exoloop budgets set --cost-usd 100");
  else {
    const rows = budgets.map((budget) => [
      budget.scope,
      budget.subject,
      budget.period,
      budget.reached === null ? "" : "reached",
      describeLimits(budget.limits, budget.used),
    ]);
    const header = ["SCOPE", "SUBJECT", "PERIOD", "", "USED OF LIMIT"];
    for (const line of tableLines(header, rows, context)) writeLine(context.output, line);
  }
  return exitCodes.ok;
}

export async function setBudget(context: CommandContext, options: SetBudgetOptions): Promise<ExitCode> {
  const limits = limitsOf(options);
  if (Object.keys(limits).length === 0) {
    throw new CommandError("Give at least one limit, such as --cost-usd 100 or --steps 500.", exitCodes.usage);
  }
  const api = await context.connect();
  if (options.session !== undefined) {
    return tellSession(context, options, await api.setSessionBudget(options.session, limits));
  }
  const budget = await api.setBudget({ ...nameOf(options), limits });
  if (options.json === true) writeJson(context.output, budget);
  else writeLine(context.progress, `Set: ${describeName(budget)} ${describeLimits(budget.limits, budget.used)}.`);
  return exitCodes.ok;
}

export async function unsetBudget(context: CommandContext, options: BudgetTarget): Promise<ExitCode> {
  const api = await context.connect();
  if (options.session !== undefined) {
    return tellSession(context, options, await api.setSessionBudget(options.session, null));
  }
  const removed = await api.removeBudget(nameOf(options));
  if (options.json === true) writeJson(context.output, removed);
  else writeLine(context.progress, `Removed: ${describeName(removed)}.`);
  return exitCodes.ok;
}

function tellSession(context: CommandContext, { json }: JsonOption, session: Session): ExitCode {
  const { limits, used } = session.x_exoloop.budget;
  if (json === true) writeJson(context.output, session);
  else {
    const budget = Object.keys(limits).length === 0 ? "no limits" : describeLimits(limits, used);
    writeLine(context.progress, `${escapeToLine(session.id)}: ${budget}.`);
  }
  return exitCodes.ok;
}

function limitsOf({ tokens, costUsd, wallSeconds, steps, sandboxSeconds }: SetBudgetOptions): PublicBudgetLimits {
  const limits = {
    tokens,
    cost_usd: costUsd,
    wall_seconds: wallSeconds,
    steps,
    sandbox_seconds: sandboxSeconds,
  };
  return Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined));
}

function nameOf({ user, period = "month" }: BudgetTarget): BudgetName {
  return user === undefined ? { scope: "organization", period } : { scope: "user", subject: user, period };
}

function describeName({ scope, subject, period }: Pick<Budget, "scope" | "subject" | "period">): string {
  const whose = scope === "organization" ? "the organization" : subject === "*" ? "each user" : escapeToLine(subject);
  return period === "total" ? `${whose}, in total` : `${whose}, each ${period}`;
}

export async function showUsage(context: CommandContext, options: UsageOptions): Promise<ExitCode> {
  const { json, csv, ...query } = options;
  const api = await context.connect();
  if (csv === true) {
    context.output.write(await api.usageCsv(query));
    return exitCodes.ok;
  }
  const report = await api.usage(query);
  if (json === true) writeJson(context.output, report);
  else if (report.data.length === 0) writeLine(context.progress, "Nothing was used.");
  else for (const line of tableLines(usageHeader, report.data.map(usageRow), context)) writeLine(context.output, line);
  if (report.truncated) writeLine(context.progress, "There is more: ask for fewer days with --from and --to.");
  return exitCodes.ok;
}

const usageHeader = ["FROM", "SCOPE", "SUBJECT", "TOKENS IN", "OUT", "CACHE", "COST", "STEPS", "SANDBOX", "RUNNING"];

function usageRow(total: UsageTotal): string[] {
  return [
    total.period_start,
    total.scope,
    total.subject,
    String(total.input_tokens),
    String(total.output_tokens),
    String(total.cache_read_input_tokens + total.cache_creation_input_tokens),
    describeAmount("cost_usd", total.cost_usd),
    String(total.steps),
    `${total.sandbox_seconds.toFixed(1)} s`,
    `${total.running_seconds.toFixed(1)} s`,
  ];
}
