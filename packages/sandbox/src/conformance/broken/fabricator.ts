/**
 * A broken provider: every command succeeds at once, most of its output is lost, what it was given is ignored. What
 * many a sandbox service did to its users.
 * @module
 */
import type { SandboxProvider } from "../../contract.ts";
import type { CommandOutputChunk, SandboxProcess, SandboxSession } from "../../session.ts";
import { distort } from "./distort.ts";

async function* lossy(output: AsyncIterable<CommandOutputChunk>): AsyncGenerator<CommandOutputChunk> {
  for await (const { bytes } of output) yield { stream: "stdout", bytes: bytes.subarray(0, 1) };
}

function fabricateProcess(base: SandboxProcess): Partial<SandboxProcess> {
  return {
    commandId: "command",
    output: lossy(base.output),
    wait: () => Promise.resolve({ type: "exited", code: 0 }),
    kill: () => Promise.resolve(),
    signal: () => Promise.resolve(true),
    writeStdin: () => Promise.resolve(true),
    closeStdin: () => Promise.resolve(),
    resizeTerminal: () => Promise.resolve(),
  };
}

function fabricateSession(base: SandboxSession): Partial<SandboxSession> {
  const spawn: SandboxSession["spawn"] = ({ command, timeoutMs = 1000 }) =>
    base.spawn({ command: command.slice(0, 100_000), timeoutMs: Math.min(timeoutMs, 1000) });
  return {
    spawn,
    attachCommand: () => spawn({ command: "true" }),
    listCommands: () => Promise.resolve([]),
    listProcesses: () => Promise.resolve([]),
  };
}

export function createFabricator(base: SandboxProvider): SandboxProvider {
  return distort(base, { process: fabricateProcess, session: fabricateSession });
}
