/** The directory of this machine's server and the credentials that it leaves for this machine's command line. @module */
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { CommandError } from "./exit-codes.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** `EXOLOOP_HOME`, else what the server takes: for root a directory that its unprivileged parts can enter too. */
export function homeOf(environment: Environment): string {
  const named = environment["EXOLOOP_HOME"] ?? "";
  if (named !== "") return resolve(named);
  return process.getuid?.() === 0 ? "/var/lib/exoloop" : join(homedir(), ".exoloop");
}

export interface Credentials {
  readonly url: string;
  readonly apiKey: string;
}

export function credentialsPath(home: string): string {
  return join(home, "credentials.json");
}

/** Null when there is no such file. @throws CommandError when it cannot be understood. */
export async function readCredentials(home: string): Promise<Credentials | null> {
  const path = credentialsPath(home);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw new CommandError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = parseCredentials(text);
  if (parsed === null) {
    throw new CommandError(`${path} does not hold {"url", "api_key"}: delete it and start \`exoloop up\` again.`);
  }
  return parsed;
}

function parseCredentials(text: string): Credentials | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("url" in value) || !("api_key" in value)) return null;
    const { url, api_key: apiKey } = value;
    return typeof url === "string" && typeof apiKey === "string" ? { url, apiKey } : null;
  } catch {
    return null;
  }
}

/** Readable by this user alone, complete or not there at all. */
export async function writeCredentials(home: string, credentials: Credentials): Promise<string> {
  const path = credentialsPath(home);
  const temporary = `${path}.${process.pid}`;
  await mkdir(home, { recursive: true, mode: 0o700 });
  const text = `${JSON.stringify({ url: credentials.url, api_key: credentials.apiKey }, null, 2)}\n`;
  await writeFile(temporary, text, { mode: 0o600 });
  await chmod(temporary, 0o600);
  await rename(temporary, path);
  return path;
}

/**
 * Where the server is and how to be let in: `EXOLOOP_URL` and `EXOLOOP_API_KEY`, each else from the credentials file.
 * The file's key is only sent to the file's server.
 */
export async function findConnection(environment: Environment, home: string): Promise<Credentials> {
  const url = environment["EXOLOOP_URL"] ?? "";
  const apiKey = environment["EXOLOOP_API_KEY"] ?? "";
  if (url !== "" && apiKey !== "") return { url: checkUrl(url), apiKey };
  const stored = await readCredentials(home);
  const target = url === "" ? (stored?.url ?? defaultUrl) : checkUrl(url);
  if (apiKey !== "") return { url: target, apiKey };
  return {
    url: target,
    apiKey: stored !== null && new URL(stored.url).origin === new URL(target).origin ? stored.apiKey : "",
  };
}

/** Where `exoloop up` listens unless told otherwise. */
const defaultUrl = "http://127.0.0.1:4600";

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new CommandError("EXOLOOP_URL is not an http or https URL, e.g. http://127.0.0.1:4600.", 2);
  }
  return text.replace(/\/+$/, "");
}

/** Variables of the command line alone: the server refuses variables that it does not know. */
const ownVariables = new Set(["EXOLOOP_URL", "EXOLOOP_API_KEY"]);

/** What a server that this command starts is told. */
export function serverEnvironment(environment: Environment): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !ownVariables.has(name)));
}
