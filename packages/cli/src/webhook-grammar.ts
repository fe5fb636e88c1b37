/** The grammar of `exoloop webhooks`. @module */
import type { Command } from "commander";
import type { Grammar } from "./deployment-grammar.ts";

interface JsonOption {
  readonly json?: boolean;
}

const load = () => import("./commands/webhooks.ts");

export function addWebhooks({ program, context, finish, json }: Grammar): void {
  const webhooks = program.command("webhooks").description("addresses that others post to, to wake sessions that wait");
  webhooks
    .command("list")
    .description("list webhooks, newest first")
    .addOption(json())
    .action(async (options: JsonOption) => finish(await (await load()).listWebhooks(context, options)));
  webhooks
    .command("create")
    .description("make a webhook; its secret is shown once")
    .argument("<name>", "what sessions wait for: a-z, 0-9 and -")
    .addOption(json())
    .action(async (name: string, options: JsonOption) =>
      finish(await (await load()).createWebhook(context, name, options)),
    );
  named(webhooks, "rotate", "give a webhook another secret, which is shown once")
    .addOption(json())
    .action(async (name: string, options: JsonOption) =>
      finish(await (await load()).rotateWebhook(context, name, options)),
    );
  named(webhooks, "delete", "delete a webhook; whoever waits for it is told")
    .addOption(json())
    .action(async (name: string, options: JsonOption) =>
      finish(await (await load()).deleteWebhook(context, name, options)),
    );
  named(webhooks, "send", "sign and post a delivery; the secret is read from EXOLOOP_WEBHOOK_SECRET")
    .argument("[payload]", "JSON or text", "{}")
    .option("--id <id>", "identifier of the delivery: the same twice is one")
    .addOption(json())
    .action(async (name: string, payload: string, options: JsonOption & { readonly id?: string }) =>
      finish(await (await load()).sendDelivery(context, name, payload, options)),
    );
}

function named(webhooks: Command, verb: string, description: string): Command {
  return webhooks.command(verb).description(description).argument("<webhook>", "its name or id");
}
