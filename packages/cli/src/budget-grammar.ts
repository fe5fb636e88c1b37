/** The grammar of `exoloop budgets` and `exoloop usage`. @module */
import type { Budget } from "@exoloop/protocol/budgets";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { BudgetTarget, SetBudgetOptions, UsageOptions } from "./commands/budgets.ts";
import type { CommandContext } from "./context.ts";
import type { ExitCode } from "./exit-codes.ts";

interface Grammar {
  readonly program: Command;
  readonly context: CommandContext;
  readonly finish: (exitCode: ExitCode) => void;
  readonly json: () => Option;
}

// Written again, so that help and completion do not load the protocol's schemas.
const periods: readonly Budget["period"][] = ["day", "month", "total"];
const scopes: readonly Budget["scope"][] = ["organization", "user"];

const load = () => import("./commands/budgets.ts");

function readAmount(text: string): number {
  const amount = Number(text);
  if (text.trim() === "" || !Number.isFinite(amount) || amount <= 0)
    throw new InvalidArgumentError("An amount is a number above 0.");
  return amount;
}

export function addBudgets({ program, context, finish, json }: Grammar): void {
  const budgets = program.command("budgets").description("limit what sessions, users and the organization may use");
  budgets
    .command("list")
    .description("list the budgets that sessions share, with what is used of each")
    .addOption(json())
    .action(async (options: { json?: boolean }) => finish(await (await load()).listBudgets(context, options)));
  addTarget(budgets.command("set"))
    .description("set a budget: of the organization unless --user or --session names another; those it holds go on")
    .option("--tokens <number>", "input and output of all model calls", readAmount)
    .option("--cost-usd <number>", "US dollars, at list prices", readAmount)
    .option("--wall-seconds <number>", "seconds of work", readAmount)
    .option("--steps <number>", "model calls and tool calls", readAmount)
    .option("--sandbox-seconds <number>", "seconds that a sandbox is awake", readAmount)
    .addOption(json())
    .action(async (options: SetBudgetOptions) => finish(await (await load()).setBudget(context, options)));
  addTarget(budgets.command("unset"))
    .description("remove a budget")
    .addOption(json())
    .action(async (options: BudgetTarget) => finish(await (await load()).unsetBudget(context, options)));
  program
    .command("usage")
    .description("report what the organization and its users have used")
    .addOption(new Option("--period <period>", "summed by").choices(periods).default("month"))
    .addOption(new Option("--scope <scope>", "only of").choices(scopes))
    .option("--subject <id>", "only of this user")
    .option("--from <day>", "first day, as YYYY-MM-DD, in UTC")
    .option("--to <day>", "last day")
    .addOption(new Option("--csv", "CSV on standard output").conflicts("json"))
    .addOption(json())
    .action(async (options: UsageOptions) => finish(await (await load()).showUsage(context, options)));
}

function addTarget(command: Command): Command {
  return command
    .option("--user <id>", "of a user, known by an API key's id; `*`: of each user without a budget of their own")
    .addOption(new Option("--session <session>", "of one session").conflicts(["user", "period"]))
    .addOption(new Option("--period <period>", "of the UTC calendar; month unless given").choices(periods));
}
