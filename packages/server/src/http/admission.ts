/** From what the API lets a caller send to what this server acts on; the rest is refused by name. Pure. @module */
import { type SendableEvent, readSupportedEvent } from "@exoloop/protocol/events";
import type { CreateSessionRequest, UpdateSessionRequest } from "@exoloop/protocol/sessions";
import { Problem } from "../errors.ts";
import { readStoreInput } from "../sessions/resources/attach.ts";
import type { CreateSessionInput, UpdateSessionInput, UserEventInput } from "../sessions/port.ts";

/**
 * All of them, or none.
 * @throws Problem `unsupported`
 */
export function admitEvents(events: readonly SendableEvent[], field: string): UserEventInput[] {
  return events.map((event, index) => {
    const supported = readSupportedEvent(event);
    if ("unsupported" in supported) {
      throw new Problem("unsupported", `${field}[${index}]: ${supported.unsupported}`, "Leave it out.");
    }
    return supported;
  });
}

function refuse(field: string): Problem {
  return new Problem("unsupported", `${field}: not supported by this server.`, "Leave it out.");
}

/** @throws Problem `unsupported`, `invalid_request` */
export function admitSession(request: CreateSessionRequest): CreateSessionInput {
  const resources = request.resources ?? [];
  for (const [index, resource] of resources.entries()) readStoreInput(resource, `resources[${index}]`);
  if ((request.vault_ids ?? []).length > 0) throw refuse("vault_ids");
  const initial = request.initial_events ?? [];
  const wrong = initial.findIndex((event) => event.type !== "user.message" && event.type !== "user.define_outcome");
  if (wrong !== -1) {
    throw new Problem(
      "invalid_request",
      `initial_events[${wrong}]: a session cannot begin with ${initial[wrong]?.type}.`,
      "Send user.message events.",
    );
  }
  return {
    agent: request.agent,
    environmentId: request.environment_id,
    title: request.title ?? null,
    metadata: request.metadata ?? {},
    initialEvents: admitEvents(initial, "initial_events"),
    resources,
    budget: {
      ...(request.budget === undefined ? {} : { budget: request.budget }),
      ...(request.x_exoloop?.budget === undefined ? {} : { limits: request.x_exoloop.budget }),
    },
    ...admitExtension(request.x_exoloop ?? {}),
  };
}

function admitExtension({
  workspace_snapshot: workspaceSnapshot,
  user_id: userId,
  visibility,
}: NonNullable<CreateSessionRequest["x_exoloop"]>) {
  return {
    ...(workspaceSnapshot === undefined ? {} : { workspaceSnapshot }),
    ...(userId === undefined ? {} : { userId }),
    ...(visibility === undefined ? {} : { visibility }),
  };
}

/** @throws Problem `unsupported` */
export function admitSessionUpdate(request: UpdateSessionRequest): UpdateSessionInput {
  if (request.vault_ids !== undefined) throw refuse("vault_ids");
  const limits = request.x_exoloop?.budget;
  const budget = {
    ...(request.budget === undefined ? {} : { budget: request.budget }),
    ...(limits === undefined ? {} : { limits }),
  };
  return {
    ...(Object.keys(budget).length === 0 ? {} : { budget }),
    ...(request.title === undefined ? {} : { title: request.title }),
    ...(request.metadata === undefined || request.metadata === null ? {} : { metadata: request.metadata }),
    ...(request.agent === undefined ? {} : { agent: request.agent }),
  };
}
