/** `exoloop webhooks list|create|rotate|delete|send`. @module */
import { readWebhookSecret } from "@exoloop/protocol/webhook-signatures";
import type { Webhook, WebhookWithSecret } from "@exoloop/protocol/webhooks";
import type { Api } from "../api.ts";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { CommandError, exitCodes, type ExitCode } from "../exit-codes.ts";
import { escapeToLine } from "../render/escape.ts";
import { tableLines } from "../render/table.ts";

interface JsonOption {
  readonly json?: boolean;
}

export async function listWebhooks(context: CommandContext, { json }: JsonOption): Promise<ExitCode> {
  const webhooks = await (await context.connect()).webhooks();
  if (json === true) writeJson(context.output, { data: webhooks });
  else if (webhooks.length === 0) {
    writeLine(context.progress, "No webhooks. Make one: exoloop webhooks create <name>");
  } else {
    const rows = webhooks.map(({ id, name, created_at, path }) => [
      id,
      name,
      created_at.replace("T", " ").slice(0, 16),
      path,
    ]);
    const header = ["ID", "NAME", "CREATED (UTC)", "PATH"];
    for (const line of tableLines(header, rows, context)) writeLine(context.output, line);
  }
  return exitCodes.ok;
}

export async function createWebhook(context: CommandContext, name: string, options: JsonOption): Promise<ExitCode> {
  const api = await context.connect();
  showSecret(context, await api.createWebhook(name), options);
  return exitCodes.ok;
}

export async function rotateWebhook(context: CommandContext, named: string, options: JsonOption): Promise<ExitCode> {
  const api = await context.connect();
  const { id } = await findWebhook(api, named);
  showSecret(context, await api.rotateWebhook(id), options);
  return exitCodes.ok;
}

export async function deleteWebhook(context: CommandContext, named: string, { json }: JsonOption): Promise<ExitCode> {
  const api = await context.connect();
  const { id, name } = await findWebhook(api, named);
  await api.deleteWebhook(id);
  if (json === true) writeJson(context.output, { id, deleted: true });
  else writeLine(context.progress, `Deleted ${escapeToLine(name)}.`);
  return exitCodes.ok;
}

export async function sendDelivery(
  context: CommandContext,
  named: string,
  payload: string,
  { id, json }: JsonOption & { readonly id?: string },
): Promise<ExitCode> {
  // Not an option: everybody on the machine can read a process's arguments.
  const secret = context.environment["EXOLOOP_WEBHOOK_SECRET"]?.trim() ?? "";
  if (readWebhookSecret(secret) === null) {
    const problem = secret === "" ? "is not set" : "holds no webhook's secret";
    throw new CommandError(
      `EXOLOOP_WEBHOOK_SECRET ${problem}. Set it to what \`exoloop webhooks create\` or \`rotate\` showed: whsec_….`,
      exitCodes.usage,
    );
  }
  const api = await context.connect();
  const webhook = await findWebhook(api, named);
  const delivery = await api.deliver(webhook.id, { secret, payload, ...(id === undefined ? {} : { deliveryId: id }) });
  if (json === true) writeJson(context.output, delivery);
  else writeLine(context.progress, `Delivered ${escapeToLine(delivery.id)} to ${escapeToLine(webhook.name)}.`);
  return exitCodes.ok;
}

/** By id, else by name. */
async function findWebhook(api: Api, wanted: string): Promise<Webhook> {
  const webhooks = await api.webhooks();
  const found = webhooks.find(({ id }) => id === wanted) ?? webhooks.find(({ name }) => name === wanted);
  if (found !== undefined) return found;
  throw new CommandError(`No webhook has the id or name ${escapeToLine(wanted)}.`, exitCodes.notFound);
}

/** The secret alone is on standard output, so that a script can keep it. */
function showSecret(context: CommandContext, webhook: WebhookWithSecret, { json }: JsonOption): void {
  if (json === true) {
    writeJson(context.output, webhook);
    return;
  }
  writeLine(context.progress, `webhook  ${escapeToLine(webhook.name)} (${webhook.id})`);
  writeLine(context.progress, `post to  ${webhook.path}`);
  writeLine(context.progress, "secret   shown once, keep it:");
  writeLine(context.output, webhook.secret);
}
