/** Entry point of the command line. Runs the command named by the process's arguments and sets its exit code. @module */
import { readFileSync } from "node:fs";
import { CommanderError } from "commander";
import { addCompletion } from "./commands/completion.ts";
import type { CommandContext } from "./context.ts";
import { describeFailure, exitCodes, type ExitCode } from "./exit-codes.ts";
import { findConnection, homeOf } from "./home.ts";
import { createProgram } from "./program.ts";

/** A fault that belongs to the server's address is described with it. */
interface Target {
  url: string | undefined;
}

function createContext(target: Target): CommandContext {
  const environment = process.env;
  return {
    output: process.stdout,
    progress: process.stderr,
    environment,
    // Asked for by those who need it: help does without.
    get home() {
      return homeOf(environment);
    },
    keyboard: process.stdin.isTTY === true && process.stdout.isTTY === true ? process.stdin : null,
    async connect() {
      const connection = await findConnection(environment, homeOf(environment));
      target.url = connection.url;
      const { connectTo } = await import("./connection.ts");
      return connectTo(connection);
    },
    onInterrupt(listener) {
      process.on("SIGINT", listener).on("SIGTERM", listener);
      return () => void process.off("SIGINT", listener).off("SIGTERM", listener);
    },
  };
}

function readVersion(): string {
  const value: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return typeof value === "object" && value !== null && "version" in value ? String(value.version) : "unknown";
}

async function run(arguments_: readonly string[]): Promise<ExitCode> {
  const target: Target = { url: undefined };
  const context = createContext(target);
  let exitCode: ExitCode = exitCodes.ok;
  const program = createProgram(context, readVersion(), (code) => {
    exitCode = code;
  });
  try {
    await addCompletion(program, context, arguments_);
    await program.parseAsync(arguments_, { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander has written its own message; help and version are not failures.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const failure = describeFailure(error, target.url);
    process.stderr.write(`${failure.message}\n`);
    return failure.exitCode;
  }
}

// A reader that goes away (`exoloop … | head`) ends the command quietly.
process.stdout.on("error", (error: Error) => {
  if ("code" in error && error.code === "EPIPE") process.exit(exitCodes.ok);
});
process.exitCode = await run(process.argv.slice(2));
