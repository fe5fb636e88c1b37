/** The grammar of `exoloop deployments`. @module */
import type { DeploymentStatus, MissedRunsPolicy, OverlapPolicy } from "@exoloop/protocol/deployments";
import { type Command, Option } from "commander";
import type { CreateDeploymentOptions, ListDeploymentsOptions, ListRunsOptions } from "./commands/deployments.ts";
import type { CommandContext } from "./context.ts";
import type { ExitCode } from "./exit-codes.ts";

export interface Grammar {
  readonly program: Command;
  readonly context: CommandContext;
  readonly finish: (exitCode: ExitCode) => void;
  readonly json: () => Option;
  readonly readLimit: (text: string) => number;
}

// Written again, so that help and completion do not load the protocol's schemas.
const statuses: readonly DeploymentStatus[] = ["active", "paused"];
const missedRuns: readonly MissedRunsPolicy[] = ["skip", "run_once", "run_all"];
const overlap: readonly OverlapPolicy[] = ["skip", "queue"];

const load = () => import("./commands/deployments.ts");

export function addDeployments(grammar: Grammar): void {
  const { context, finish, json } = grammar;
  const deployments = grammar.program
    .command("deployments")
    .description("start sessions by a schedule, or by hand from one description");
  addLists(deployments, grammar);
  deployments
    .command("create")
    .description("describe what is to be started, and when")
    .argument("<task>", "what each session is told first")
    .requiredOption("--name <name>", "what it is called")
    .option("--agent <id or name>", "agent to use instead of `default`; its version now is kept")
    .option("--env <id or name>", "environment to use instead of `default`")
    .option("--cron <expression>", 'when, in five fields: "0 9 * * 1-5" is nine o\'clock on weekdays')
    .option("--timezone <name>", "whose clock, such as Europe/Berlin; without it this machine's")
    .addOption(new Option("--missed-runs <policy>", "when nothing could be started in time").choices(missedRuns))
    .addOption(new Option("--overlap <policy>", "when an earlier run still goes on").choices(overlap))
    .addOption(json())
    .action(async (task: string, options: CreateDeploymentOptions) =>
      finish(await (await load()).createDeployment(context, task, options)),
    );
  for (const [verb, description] of [
    ["pause", "let its schedule start nothing"],
    ["unpause", "let its schedule go on from now"],
    ["archive", "end it for good"],
  ] as const) {
    deployments
      .command(verb)
      .description(description)
      .argument("<deployment>", "its id or name")
      .addOption(json())
      .action(async (named: string, options: { json?: boolean }) =>
        finish(await (await load()).changeDeployment(context, verb, named, options)),
      );
  }
  deployments
    .command("run")
    .description("start a session of it now")
    .argument("<deployment>", "its id or name")
    .addOption(json())
    .action(async (named: string, options: { json?: boolean }) =>
      finish(await (await load()).runDeployment(context, named, options)),
    );
}

function addLists(deployments: Command, { context, finish, json, readLimit }: Grammar): void {
  deployments
    .command("list")
    .description("list deployments, newest first")
    .option("--limit <number>", "how many", readLimit, 20)
    .addOption(new Option("--status <status>", "only these").choices(statuses))
    .addOption(json())
    .action(async (options: ListDeploymentsOptions) => finish(await (await load()).listDeployments(context, options)));
  deployments
    .command("show")
    .description("show a deployment and its last runs")
    .argument("<deployment>", "its id or name")
    .addOption(json())
    .action(async (named: string, options: { json?: boolean }) =>
      finish(await (await load()).showDeployment(context, named, options)),
    );
  deployments
    .command("runs")
    .description("list runs, newest first, of one deployment or of all")
    .argument("[deployment]", "its id or name")
    .option("--limit <number>", "how many", readLimit, 20)
    .option("--failed", "only those that could not be started")
    .addOption(json())
    .action(async (named: string | undefined, options: ListRunsOptions) =>
      finish(await (await load()).listRuns(context, named, options)),
    );
}
