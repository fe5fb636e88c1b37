/** The background half of the sandbox room over a test's worker. @module */
import type { CommandRunnerDependencies } from "../command-runner.ts";
import type { SandboxRoom } from "../room.ts";
import { killCommand, listCommands, readOutput, renewLease, signalCommand } from "./commands.ts";
import { startBackground } from "./start.ts";

export function bindBackground(worker: CommandRunnerDependencies): SandboxRoom["background"] {
  return {
    start: (...rest) => startBackground(worker, ...rest),
    list: (...rest) => listCommands(worker, ...rest),
    readOutput: (...rest) => readOutput(worker, ...rest),
    signal: (...rest) => signalCommand(worker, ...rest),
    kill: (...rest) => killCommand(worker, ...rest),
    renewLease: (...rest) => renewLease(worker, ...rest),
  };
}
