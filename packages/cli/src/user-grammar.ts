/** The grammar of `exoloop users`. @module */
import type { Command } from "commander";
import type { Grammar } from "./deployment-grammar.ts";

interface JsonOption {
  readonly json?: boolean;
}

const load = () => import("./commands/users.ts");

export function addUsers({ program, context, finish, json }: Grammar): void {
  const users = program.command("users").description("the people of the organization, and their keys; for admins");
  users
    .command("list")
    .description("list users, newest first")
    .addOption(json())
    .action(async (options: JsonOption) => finish(await (await load()).listUsers(context, options)));
  users
    .command("create")
    .description("make a user")
    .argument("<external id>", "what your organization calls this person: an account's id, an address")
    .option("--name <name>", "shown to others beside what this person's sessions wrote")
    .addOption(json())
    .action(async (externalId: string, options: JsonOption & { readonly name?: string }) =>
      finish(await (await load()).createUser(context, externalId, options)),
    );
  named(users, "archive", "archive a user; their keys are worth nothing from then on")
    .addOption(json())
    .action(async (user: string, options: JsonOption) =>
      finish(await (await load()).archiveUser(context, user, options)),
    );
  named(users, "keys", "list a user's keys")
    .addOption(json())
    .action(async (user: string, options: JsonOption) => finish(await (await load()).listKeys(context, user, options)));
  named(users, "create-key", "make a key for a user, which is shown once")
    .option("--admin", "it may do everything in the organization")
    .addOption(json())
    .action(async (user: string, options: JsonOption & { readonly admin?: boolean }) =>
      finish(await (await load()).createKey(context, user, options)),
    );
  named(users, "revoke-key", "end a key for good")
    .argument("<key>", "its id")
    .addOption(json())
    .action(async (user: string, key: string, options: JsonOption) =>
      finish(await (await load()).revokeKey(context, user, key, options)),
    );
}

function named(users: Command, verb: string, description: string): Command {
  return users.command(verb).description(description).argument("<user>", "its id or external id");
}
