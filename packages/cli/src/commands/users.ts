/** `exoloop users list|create|archive|keys|create-key|revoke-key`. @module */
import type { User } from "@exoloop/protocol/users";
import type { Api } from "../api.ts";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { CommandError, exitCodes, type ExitCode } from "../exit-codes.ts";
import { escapeToLine } from "../render/escape.ts";
import { tableLines } from "../render/table.ts";

interface JsonOption {
  readonly json?: boolean;
}

const minute = (instant: string) => instant.replace("T", " ").slice(0, 16);

export async function listUsers(context: CommandContext, { json }: JsonOption): Promise<ExitCode> {
  const users = await (await context.connect()).users();
  if (json === true) writeJson(context.output, { data: users });
  else if (users.length === 0) writeLine(context.progress, "No users. Make one: exoloop users create <external id>");
  else {
    const rows = users.map(({ id, external_id, name, created_at }) => [id, external_id, name, minute(created_at)]);
    for (const line of tableLines(["ID", "EXTERNAL ID", "NAME", "CREATED (UTC)"], rows, context))
      writeLine(context.output, line);
  }
  return exitCodes.ok;
}

export async function createUser(
  context: CommandContext,
  externalId: string,
  { name, json }: JsonOption & { readonly name?: string },
): Promise<ExitCode> {
  const api = await context.connect();
  const user = await api.createUser({ external_id: externalId, ...(name === undefined ? {} : { name }) });
  if (json === true) writeJson(context.output, user);
  else writeLine(context.output, user.id);
  return exitCodes.ok;
}

export async function archiveUser(context: CommandContext, named: string, { json }: JsonOption): Promise<ExitCode> {
  const api = await context.connect();
  const user = await api.archiveUser((await findUser(api, named)).id);
  if (json === true) writeJson(context.output, user);
  else writeLine(context.progress, `Archived ${escapeToLine(user.name)}.`);
  return exitCodes.ok;
}

export async function listKeys(context: CommandContext, named: string, { json }: JsonOption): Promise<ExitCode> {
  const api = await context.connect();
  const keys = await api.userKeys((await findUser(api, named)).id);
  if (json === true) writeJson(context.output, { data: keys });
  else {
    const rows = keys.map(({ id, name, scopes, created_at, last_used_at, revoked_at }) => [
      id,
      name,
      scopes.join(", "),
      minute(created_at),
      last_used_at === null ? "never" : minute(last_used_at),
      revoked_at === null ? "" : minute(revoked_at),
    ]);
    const header = ["ID", "NAME", "SCOPES", "CREATED (UTC)", "LAST USED", "REVOKED"];
    for (const line of tableLines(header, rows, context)) writeLine(context.output, line);
  }
  return exitCodes.ok;
}

/** The key alone is on standard output, so that a script can keep it. */
export async function createKey(
  context: CommandContext,
  named: string,
  { admin, json }: JsonOption & { readonly admin?: boolean },
): Promise<ExitCode> {
  const api = await context.connect();
  const user = await findUser(api, named);
  const key = await api.createUserKey(user.id, admin === true ? { scopes: ["admin"] } : {});
  if (json === true) {
    writeJson(context.output, key);
    return exitCodes.ok;
  }
  writeLine(context.progress, `key      ${key.id} of ${escapeToLine(user.name)}, shown once, keep it:`);
  writeLine(context.output, key.api_key);
  return exitCodes.ok;
}

export async function revokeKey(
  context: CommandContext,
  named: string,
  key: string,
  { json }: JsonOption,
): Promise<ExitCode> {
  const api = await context.connect();
  const revoked = await api.revokeUserKey((await findUser(api, named)).id, key);
  if (json === true) writeJson(context.output, revoked);
  else writeLine(context.progress, `Revoked ${escapeToLine(revoked.id)}.`);
  return exitCodes.ok;
}

/** By id, else by external id. */
async function findUser(api: Api, wanted: string): Promise<User> {
  const users = await api.users();
  const found = users.find(({ id }) => id === wanted) ?? users.find(({ external_id }) => external_id === wanted);
  if (found !== undefined) return found;
  throw new CommandError(`No user has the id or external id ${escapeToLine(wanted)}.`, exitCodes.notFound);
}
