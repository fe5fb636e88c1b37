/** The directory of this machine's server and the credentials that it leaves for this machine's command line. @module */
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { CommandError, exitCodes } from "./exit-codes.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The home that a server with this environment has. Said here again, since the server's configuration takes longer to
 * load than the whole command line; a test compares the two.
 * @throws CommandError when `EXOLOOP_HOME` is not an absolute path.
 */
export function homeOf(environment: Environment): string {
  const named = environment["EXOLOOP_HOME"]?.trim() ?? "";
  if (named !== "" && !isAbsolute(named)) {
    throw new CommandError(`EXOLOOP_HOME is ${JSON.stringify(named)}: it must be an absolute path.`, exitCodes.usage);
  }
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
  const apiKey = checkKey(environment["EXOLOOP_API_KEY"]?.trim() ?? "");
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
    throw new CommandError("EXOLOOP_URL is not an http or https URL, e.g. http://127.0.0.1:4600.", exitCodes.usage);
  }
  // The address is shown in errors.
  if (url.username !== "" || url.password !== "") {
    throw new CommandError(
      "EXOLOOP_URL holds a user or a password: put the key into EXOLOOP_API_KEY.",
      exitCodes.usage,
    );
  }
  return text.replace(/\/+$/, "");
}

function checkKey(text: string): string {
  if (/^[\x21-\x7e]*$/.test(text)) return text;
  throw new CommandError(
    "EXOLOOP_API_KEY contains a space or a character outside ASCII: check how it was copied.",
    exitCodes.usage,
  );
}

/** Variables of the command line alone: the server refuses variables that it does not know. */
const ownVariables = new Set(["EXOLOOP_URL", "EXOLOOP_API_KEY", "EXOLOOP_WEBHOOK_SECRET"]);

/** What a server that this command starts is told. */
export function serverEnvironment(environment: Environment): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !ownVariables.has(name)));
}
