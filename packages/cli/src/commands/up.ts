/** `exoloop up`: the whole server in the foreground. @module */
import { resolve } from "node:path";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { exitCodes, type ExitCode } from "../exit-codes.ts";
import { credentialsPath, readCredentials, serverEnvironment, writeCredentials } from "../home.ts";
import { escapeForTerminal } from "../render/escape.ts";
import { colorsFor } from "../render/terminal.ts";

export type SandboxChoice = "auto" | "weak" | "none";

export interface UpOptions {
  readonly port?: number;
  readonly host?: string;
  readonly sandbox?: SandboxChoice;
  readonly home?: string;
  readonly json?: boolean;
}

/** Runs until Ctrl-C or SIGTERM, then ends running requests and stops what it started. */
export async function startServer(context: CommandContext, options: UpOptions): Promise<ExitCode> {
  const { startExoloop } = await import("@exoloop/server/launch");
  const home = options.home === undefined ? context.home : resolve(options.home);
  const stopping = interrupted(context);
  writeLine(context.progress, "Starting …");
  const server = await startExoloop({
    environment: serverEnvironment(context.environment),
    home,
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.sandbox === undefined ? {} : { sandbox: options.sandbox }),
  });
  try {
    await keepCredentials(server.home, server.url, server.firstAdminKey);
    if (options.json === true)
      writeJson(context.output, {
        url: server.url,
        home: server.home,
        model: server.model,
        api_key: server.firstAdminKey,
      });
    else announce(context, server);
    await stopping;
  } finally {
    writeLine(context.progress, "Stopping …");
    await server.stop();
  }
  return exitCodes.ok;
}

/** A second interrupt does not wait for a graceful end. */
function interrupted(context: CommandContext): Promise<void> {
  return new Promise((resolve) => {
    let first = true;
    context.onInterrupt(() => {
      if (!first) process.exit(exitCodes.failure);
      first = false;
      resolve();
    });
  });
}

/** Leaves this machine's command line the first key; afterwards only the server's address changes. */
async function keepCredentials(home: string, url: string, firstAdminKey: string | null): Promise<void> {
  const apiKey = firstAdminKey ?? (await readCredentials(home))?.apiKey;
  if (apiKey !== undefined) await writeCredentials(home, { url, apiKey });
}

interface Started {
  readonly url: string;
  readonly home: string;
  readonly firstAdminKey: string | null;
  readonly model: string;
  readonly sandbox: { readonly provider: string } | null;
}

function announce(context: CommandContext, server: Started): void {
  const colors = colorsFor(context.output, context.environment);
  const rows: readonly (readonly [string, string])[] = [
    ["address", server.url],
    ["model", server.model],
    ["sandbox", server.sandbox?.provider ?? "none"],
    ["home", server.home],
    ["admin key", server.firstAdminKey ?? "shown when this home was first used"],
    ["for this CLI", credentialsPath(server.home)],
  ];
  for (const [name, value] of rows)
    writeLine(context.output, `${colors.dim(name.padEnd(13))}${escapeForTerminal(value)}`);
  if (server.firstAdminKey !== null)
    writeLine(
      context.progress,
      "The admin key is shown this once. The server keeps only its hash, the file above the key itself: guard it.",
    );
  writeLine(context.progress, "Ctrl-C stops the server; sessions go on when it is started again.");
}
