/** Commands that a person runs in a session's sandbox, beside those of the agent and one at a time with them. @module */
import type { CommandResult } from "@exoloop/protocol/sandboxes";
import { SandboxFileError, SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { Problem } from "../errors.ts";
import type { Principal } from "../orgs/principal.ts";
import type { SessionService } from "../sessions/port.ts";
import type { CommandRunner } from "../tools/tool.ts";
import type { SandboxOwner } from "./workspace.ts";

export interface PersonCommands {
  /** @throws Problem `not_found`, `session_archived`, `sandbox_unavailable`, `invalid_request` */
  run(
    principal: Principal,
    sessionId: string,
    request: { readonly command: string; readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<CommandResult>;
}

export function createPersonCommands(dependencies: {
  readonly sessions: Pick<SessionService, "head">;
  readonly commandsOf: (owner: SandboxOwner) => CommandRunner;
  readonly newId: () => string;
}): PersonCommands {
  return {
    async run(principal, sessionId, request): Promise<CommandResult> {
      const head = await dependencies.sessions.head(principal, sessionId);
      if (head.archived) {
        throw new Problem("session_archived", "The session is archived and has no sandbox.", "Create a new session.");
      }
      const { awakeMs: _awake, ...outcome } = await dependencies
        .commandsOf({ sessionId, organizationId: principal.organizationId })
        .run({
          commandId: dependencies.newId(),
          command: request.command,
          timeoutMs: request.timeoutMs,
          abortSignal: request.signal,
          reattach: false,
          toldToModel: false,
        })
        .catch((error: unknown) => {
          if (error instanceof SandboxFileError) throw new Problem("invalid_request", error.message);
          if (!(error instanceof SandboxUnavailableError)) throw error;
          throw new Problem("sandbox_unavailable", error.message, error.remedy);
        });
      return { ...outcome, notices: [...outcome.notices] };
    },
  };
}
