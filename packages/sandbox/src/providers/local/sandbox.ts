/** One local sandbox: the session's operations over its supervisor, the lifecycle over the host daemon. @module */
import type { Sandbox, SandboxReference } from "../../contract.ts";
import { packWorkspace, unpackWorkspace } from "./archive.ts";
import { ChannelLostError, type Channels, createChannels } from "./channels.ts";
import { attachCommand, runCommand, spawnCommand } from "./commands.ts";
import { createFileOperations } from "./files.ts";
import type { HostClient } from "./host-client.ts";
import { SandboxGoneError } from "../../errors.ts";

export interface LocalSandbox {
  readonly sandbox: Sandbox;
  close(): void;
}

/** A connection that keeps breaking while the daemon is well means that the supervisor is no longer ours. */
async function translateLoss<T>(sandboxId: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ChannelLostError) throw new SandboxGoneError(sandboxId, error.message);
    throw error;
  }
}

function createSession(channels: Channels, description: string): Sandbox["session"] {
  const files = createFileOperations(channels);
  const guard = <T>(work: Promise<T>): Promise<T> => translateLoss(channels.sandboxId, work);
  return {
    description,
    readFile: (options) => guard(files.readFile(options)),
    readBinaryFile: (options) => guard(files.readBinaryFile(options)),
    writeBinaryFile: (options) => guard(files.writeBinaryFile(options)),
    stat: (options) => guard(files.stat(options)),
    listDirectory: (options) => guard(files.listDirectory(options)),
    listTree: (options) => guard(files.listTree(options)),
    deleteFile: (options) => guard(files.deleteFile(options)),
    spawn: (options) => guard(spawnCommand(channels, options)),
    attachCommand: (options) => guard(attachCommand(channels, options)),
    run: (options) => guard(runCommand(channels, options)),
  };
}

/** `forget` is called when the sandbox was destroyed through this object. */
export function createLocalSandbox(
  host: HostClient,
  reference: SandboxReference,
  description: string,
  forget: () => void,
): LocalSandbox {
  const { id } = reference;
  const channels = createChannels(host, id);
  const sandbox: Sandbox = {
    reference,
    session: createSession(channels, description),
    status: () => host.call("status", { id }),
    suspend: () => host.call("suspend", { id }),
    resume: () => host.call("resume", { id }),
    async snapshot() {
      const { state } = await host.call("status", { id });
      if (state === "awake") await host.call("suspend", { id });
      const wakeAgain = async (): Promise<void> => {
        if (state === "awake") await host.call("resume", { id });
      };
      return translateLoss(id, packWorkspace(channels, wakeAgain));
    },
    restore: (archive) => translateLoss(id, unpackWorkspace(channels, archive)),
    async destroy() {
      channels.close();
      forget();
      await host.call("destroy", { id });
    },
  };
  return { sandbox, close: () => channels.close() };
}
