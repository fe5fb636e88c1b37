/** From a deployment as the API lets a caller describe it to what this server acts on. Pure. @module */
import type { CreateDeploymentRequest, UpdateDeploymentRequest } from "@exoloop/protocol/deployments";
import type { SendableEvent } from "@exoloop/protocol/events";
import type { ResourceConfig } from "@exoloop/protocol/session-resources";
import { checkSchedule, type Schedule } from "../deployments/cron.ts";
import type { CreateDeploymentInput, UpdateDeploymentInput } from "../deployments/port.ts";
import { Problem } from "../errors.ts";
import { readStoreInput } from "../sessions/resources/attach.ts";
import type { UserEventInput } from "../sessions/port.ts";
import { admitEvents } from "./admission.ts";

type Request = UpdateDeploymentRequest;

const firstEvents = new Set<string>(["user.message", "user.define_outcome", "system.message"]);

/** @throws Problem `unsupported`, `invalid_request` */
export function admitDeployment(request: CreateDeploymentRequest, now: Date): CreateDeploymentInput {
  refuseUnsupported(request);
  return {
    name: request.name,
    description: textOrNull(request.description),
    agent: readAgent(request.agent),
    environmentId: request.environment_id,
    initialEvents: readInitialEvents(request.initial_events),
    schedule: readSchedule(request.schedule, now) ?? null,
    metadata: request.metadata ?? {},
    resources: readResources(request.resources),
    missedRuns: request.x_exoloop?.missed_runs ?? "run_once",
    overlap: request.x_exoloop?.overlap ?? "skip",
  };
}

/** @throws Problem `unsupported`, `invalid_request` */
export function admitDeploymentUpdate(request: UpdateDeploymentRequest, now: Date): UpdateDeploymentInput {
  refuseUnsupported(request);
  const schedule = readSchedule(request.schedule, now);
  const { name, environment_id: environmentId, x_exoloop: additions } = request;
  return {
    ...(name === undefined ? {} : { name }),
    ...(request.description === undefined ? {} : { description: textOrNull(request.description) }),
    ...(request.agent === undefined ? {} : { agent: readAgent(request.agent) }),
    ...(environmentId === undefined ? {} : { environmentId }),
    ...(request.initial_events === undefined ? {} : { initialEvents: readInitialEvents(request.initial_events) }),
    ...(schedule === undefined ? {} : { schedule }),
    ...(request.resources === undefined ? {} : { resources: readResources(request.resources) }),
    ...(request.metadata === undefined || request.metadata === null ? {} : { metadata: request.metadata }),
    ...(additions?.missed_runs === undefined ? {} : { missedRuns: additions.missed_runs }),
    ...(additions?.overlap === undefined ? {} : { overlap: additions.overlap }),
  };
}

function refuseUnsupported(request: Pick<Request, "vault_ids" | "budget">): void {
  const refused =
    ((request.vault_ids ?? []).length > 0 && "vault_ids") || ((request.budget ?? null) !== null && "budget");
  if (refused === false) return;
  throw new Problem("unsupported", `${refused}: not supported by this server.`, "Leave it out.");
}

function readResources(resources: Request["resources"]): ResourceConfig[] {
  return (resources ?? []).map((resource, index) => {
    const { type, memory_store_id, access, instructions } = readStoreInput(resource, `resources[${index}]`);
    return { type, memory_store_id, access: access ?? null, instructions: instructions ?? null };
  });
}

/** The empty string clears, as null does. */
function textOrNull(text: string | null | undefined): string | null {
  return text === undefined || text === "" ? null : text;
}

function readAgent(agent: CreateDeploymentRequest["agent"]): CreateDeploymentInput["agent"] {
  if (typeof agent === "string") return { id: agent };
  return { id: agent.id, ...(agent.version === undefined ? {} : { version: agent.version }) };
}

function readInitialEvents(events: readonly SendableEvent[]): UserEventInput[] {
  const wrong = events.findIndex((event) => !firstEvents.has(event.type));
  if (wrong !== -1) {
    throw new Problem(
      "invalid_request",
      `initial_events[${wrong}]: a session cannot begin with ${events[wrong]?.type}.`,
      "Send user.message events.",
    );
  }
  return admitEvents(events, "initial_events");
}

function readSchedule(input: Request["schedule"], now: Date): Schedule | null | undefined {
  if (input === undefined || input === null) return input;
  const schedule = { expression: input.expression, timezone: input.timezone };
  checkSchedule(schedule, "schedule", now);
  return schedule;
}
