/**
 * Tools that the loop itself serves: their calls are parked in the log, and nothing runs while they wait. Pure.
 * @module
 */
import type { ToolDefinition } from "../models/model.ts";

export const waitForTool = "wait_for";
export const delegateTool = "delegate";
/** Shown only where the session works for a person. */
export const promoteMemory = "promote_memory";

export function isLoopTool(toolName: string): boolean {
  return toolName === waitForTool || toolName === delegateTool;
}

/** The longest wait, in seconds: thirty days. */
export const longestWaitSeconds = 30 * 86_400;

export const waitForDefinition: ToolDefinition = {
  name: waitForTool,
  description: [
    "Ends this step and goes on when something has happened; nothing runs and nothing is paid for meanwhile.",
    "Give exactly one of seconds, until, webhook, session_id.",
    "For webhook and session_id, timeout_seconds says when to go on all the same.",
    "To wait for a command of yours, run it with bash instead.",
  ].join(" "),
  inputSchema: {
    type: "object",
    properties: {
      seconds: { type: "number", description: `How long to wait, up to ${longestWaitSeconds}.` },
      until: { type: "string", description: "An instant, such as 2030-01-31T08:00:00Z." },
      webhook: { type: "string", description: "Name of a webhook of this organization: waits for its next delivery." },
      session_id: { type: "string", description: "Another session: waits until it has come to rest." },
      timeout_seconds: { type: "number", description: `Up to ${longestWaitSeconds}; 86400 unless given.` },
    },
    additionalProperties: false,
  },
};

/** @param agents Names and descriptions of the agents that may be given work. */
export function delegateDefinition(
  agents: readonly { readonly name: string; readonly description: string | null }[],
): ToolDefinition {
  const roster = agents.map(({ name, description }) => (description === null ? name : `${name} (${description})`));
  return {
    name: delegateTool,
    description: [
      "Gives work to another agent, which has a conversation, tools and a sandbox of its own, and returns its answer.",
      "Its sandbox begins with a copy of your /workspace; what it changes there does not come back, so ask for results in its answer or under /memory.",
      "Several calls in one step work in parallel.",
      `Agents: ${roster.join("; ")}.`,
    ].join(" "),
    inputSchema: {
      type: "object",
      properties: {
        agent: { type: "string", enum: agents.map(({ name }) => name), description: "Who does the work." },
        task: { type: "string", description: "The work, with everything that the agent must know." },
        thread_id: { type: "string", description: "Goes on with a thread that answered before, instead of a new one." },
        budget: {
          type: "object",
          description: "Limits of this piece of work; what is left of yours limits it as well.",
          properties: {
            tokens: { type: "integer", minimum: 1 },
            steps: { type: "integer", minimum: 1 },
            cost_usd: { type: "number", exclusiveMinimum: 0 },
          },
          additionalProperties: false,
        },
      },
      required: ["agent", "task"],
      additionalProperties: false,
    },
  };
}
