/** The grammar of `exoloop environments`. @module */
import type { Command } from "commander";
import type { Grammar } from "./deployment-grammar.ts";

interface JsonOption {
  readonly json?: boolean;
}

const load = () => import("./commands/environments.ts");

export function addEnvironments({ program, context, finish, json }: Grammar): void {
  const environments = program
    .command("environments")
    .description("where sessions run: sandboxes here, or your workers");
  environments
    .command("list")
    .description("list environments, newest first")
    .addOption(json())
    .action(async (options: JsonOption) => finish(await (await load()).listEnvironments(context, options)));
  environments
    .command("create")
    .description("make an environment")
    .argument("<name>")
    .option("--self-hosted", "its tools run at your workers, not in a sandbox of the server")
    .addOption(json())
    .action(async (name: string, options: JsonOption & { readonly selfHosted?: boolean }) =>
      finish(await (await load()).createEnvironment(context, name, options)),
    );
  const keys = environments.command("keys").description("what workers of a self-hosted environment come in with");
  of(keys, "list", "list its keys, newest first")
    .addOption(json())
    .action(async (environment: string, options: JsonOption) =>
      finish(await (await load()).listKeys(context, environment, options)),
    );
  of(keys, "create", "make a key, which is shown once")
    .option("--name <name>", "what you will know it by", "worker")
    .addOption(json())
    .action(async (environment: string, options: JsonOption & { readonly name: string }) =>
      finish(await (await load()).createKey(context, environment, options)),
    );
  of(keys, "revoke", "end a key for good; workers that use it end within seconds")
    .argument("<key>", "its id")
    .addOption(json())
    .action(async (environment: string, key: string, options: JsonOption) =>
      finish(await (await load()).revokeKey(context, environment, key, options)),
    );
}

function of(keys: Command, verb: string, description: string): Command {
  return keys.command(verb).description(description).argument("<environment>", "its name or id");
}
