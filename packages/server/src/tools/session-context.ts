/** What a tool call of a session works with: made anew for each call, from what the session may see at that moment. @module */
import type { ReadTrace } from "../files/read-trace.ts";
import type { SessionView } from "../files/session-mounts.ts";
import type { RoutedFiles } from "../files/router.ts";
import type { FileActor } from "../files/store.ts";
import type { BackgroundCommands, CommandRunner, ToolContext } from "./tool.ts";

interface Owner {
  readonly organizationId: string;
  readonly sessionId: string;
}

export interface ContextParts {
  viewOf(owner: Owner): Promise<SessionView>;
  filesOf(owner: Owner, view: SessionView, trace: ReadTrace): RoutedFiles;
  commandsOf(owner: Owner): CommandRunner;
  backgroundOf(owner: Owner): BackgroundCommands;
  /** Of what commands in the background have written into stored files up to now. Never rejects. */
  saveFiles(owner: Owner): Promise<void>;
  /** Where a file of shared memory comes from, in one line; null for any other. */
  describeOrigin(owner: Owner, view: SessionView, path: string): Promise<string | null>;
}

type CallOptions = Pick<ToolContext, "resumed" | "abortSignal">;

/** @example await createToolContext(parts, claim, call, { resumed: false, abortSignal }) */
export async function createToolContext(
  parts: ContextParts,
  owner: Owner,
  call: { readonly toolUseId: string; readonly bound: ToolContext["approved"] | null },
  options: CallOptions,
): Promise<ToolContext> {
  const { toolUseId, bound } = call;
  const view = await parts.viewOf(owner);
  if (view.background) await parts.saveFiles(owner);
  const trace: ReadTrace = { untrusted: false };
  const actor: FileActor = {
    organizationId: owner.organizationId,
    sessionId: owner.sessionId,
    toolUseId,
    via: "tool",
    userId: view.userId,
    // Asked for when a file is written: the same call may have read something before.
    get untrusted() {
      return view.untrusted || trace.untrusted;
    },
  };
  const commands = parts.commandsOf(owner);
  const background = parts.backgroundOf(owner);
  // Nobody sees what a command reads: where a marked file lies in the sandbox, it may have read that one.
  const noteCommand = ({ holdsUntrusted } = view) => {
    if (holdsUntrusted) trace.untrusted = true;
  };
  return {
    toolUseId,
    actor,
    files: parts.filesOf(owner, view, trace),
    commands: {
      async run(request) {
        noteCommand();
        const outcome = await commands.run(request);
        // It may have waited for another one, and got the files that came meanwhile.
        if (!actor.untrusted) noteCommand(await parts.viewOf(owner));
        return outcome;
      },
    },
    background: {
      ...background,
      start: (request) => {
        noteCommand();
        return background.start(request);
      },
      read: (request) => {
        noteCommand();
        return background.read(request);
      },
    },
    ...(bound === null || bound === undefined ? {} : { approved: bound }),
    describeOrigin: (path) => parts.describeOrigin(owner, view, path),
    hasReadUntrusted: () => trace.untrusted,
    ...options,
  };
}
