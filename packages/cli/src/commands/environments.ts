/** `exoloop environments list|create`, `exoloop environments keys list|create|revoke`. @module */
import type { Api } from "../api.ts";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { CommandError, exitCodes, type ExitCode } from "../exit-codes.ts";
import { escapeToLine } from "../render/escape.ts";
import { tableLines } from "../render/table.ts";

interface JsonOption {
  readonly json?: boolean;
}

export async function listEnvironments(context: CommandContext, { json }: JsonOption): Promise<ExitCode> {
  const environments = await (await context.connect()).environments();
  if (json === true) writeJson(context.output, { data: environments });
  else if (environments.length === 0)
    writeLine(context.progress, "No environments. Make one: exoloop environments create <name>");
  else {
    const rows = environments.map(({ id, name, kind }) => [id, name, kind ?? ""]);
    for (const line of tableLines(["ID", "NAME", "TYPE"], rows, context)) writeLine(context.output, line);
  }
  return exitCodes.ok;
}

export async function createEnvironment(
  context: CommandContext,
  name: string,
  { json, selfHosted }: JsonOption & { readonly selfHosted?: boolean },
): Promise<ExitCode> {
  const environment = await (await context.connect()).createEnvironment(name, { selfHosted: selfHosted === true });
  if (json === true) writeJson(context.output, environment);
  else writeLine(context.output, environment.id);
  return exitCodes.ok;
}

export async function listKeys(context: CommandContext, named: string, { json }: JsonOption): Promise<ExitCode> {
  const api = await context.connect();
  const { id: environmentId, name } = await findEnvironment(api, named);
  const keys = await api.environmentKeys(environmentId);
  if (json === true) writeJson(context.output, { data: keys });
  else if (keys.length === 0) {
    writeLine(context.progress, `No keys. Make one: exoloop environments keys create ${escapeToLine(name)}`);
  } else {
    const minute = (instant: string | null) => instant?.replace("T", " ").slice(0, 16) ?? "never";
    const rows = keys.map((key) => [key.id, key.name, minute(key.created_at), minute(key.last_used_at)]);
    const header = ["ID", "NAME", "CREATED (UTC)", "USED (UTC)"];
    for (const line of tableLines(header, rows, context)) writeLine(context.output, line);
  }
  return exitCodes.ok;
}

/** The key alone is on standard output, so that a script can keep it. */
export async function createKey(
  context: CommandContext,
  named: string,
  { json, name }: JsonOption & { readonly name: string },
): Promise<ExitCode> {
  const api = await context.connect();
  const environment = await findEnvironment(api, named);
  const key = await api.createEnvironmentKey(environment.id, name);
  if (json === true) {
    writeJson(context.output, key);
    return exitCodes.ok;
  }
  writeLine(context.progress, `environment  ${escapeToLine(environment.name)} (${environment.id})`);
  writeLine(context.progress, `key          ${escapeToLine(key.name)} (${key.id}), shown once, keep it:`);
  writeLine(context.output, key.key);
  return exitCodes.ok;
}

export async function revokeKey(
  context: CommandContext,
  named: string,
  keyId: string,
  { json }: JsonOption,
): Promise<ExitCode> {
  const api = await context.connect();
  const { id } = await findEnvironment(api, named);
  await api.revokeEnvironmentKey(id, keyId);
  if (json === true) writeJson(context.output, { id: keyId, revoked: true });
  else writeLine(context.progress, `Revoked ${escapeToLine(keyId)}.`);
  return exitCodes.ok;
}

/** By id, else by name. */
async function findEnvironment(api: Api, wanted: string) {
  const environments = await api.environments();
  const found = environments.find(({ id }) => id === wanted) ?? environments.find(({ name }) => name === wanted);
  if (found !== undefined) return found;
  throw new CommandError(`No environment has the id or name ${escapeToLine(wanted)}.`, exitCodes.notFound);
}
