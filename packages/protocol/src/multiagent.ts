/** Agents that give work to other agents: who may be given work, as sent and as answered. @module */
import { z } from "zod";
import { reference } from "./values.ts";

const version = z.int().min(1);
const disabled = z.strictObject({ type: z.literal("disabled") });
const enabled = z.strictObject({ type: z.literal("enabled") });
const model = z.string().min(1).max(256);
/** An agent's identifier alone means its latest version; `self` is the agent that has this configuration. */
const agentEntries = [
  z.strictObject({ type: z.literal("agent"), id: reference, version: z.exactOptional(version) }),
  z.strictObject({ type: z.literal("self") }),
] as const;
const advisorEntry = z.strictObject({ type: z.literal("advisor"), model });
const predefinedEntry = z.union([reference, z.discriminatedUnion("type", agentEntries)]);
const rosterEntry = z.union([reference, z.discriminatedUnion("type", [...agentEntries, advisorEntry])]);
export type RosterEntryInput = z.infer<typeof rosterEntry>;

export const maximumRoster = 20;

const enabledGroup = z.strictObject({
  type: z.literal("enabled"),
  inline_agents: z.exactOptional(z.discriminatedUnion("type", [enabled, disabled]).nullable()),
  predefined_agents: z.exactOptional(z.array(predefinedEntry).max(maximumRoster).nullable()),
});

const coordinatorInput = z.strictObject({
  type: z.literal("coordinator"),
  agents: z.array(rosterEntry).min(1).max(maximumRoster),
});
const membersInput = z.strictObject({
  type: z.literal("multiagent_20261001"),
  advisor: z.exactOptional(
    z.discriminatedUnion("type", [z.strictObject({ type: z.literal("enabled"), model }), disabled]).nullable(),
  ),
  subagents: z.exactOptional(z.discriminatedUnion("type", [enabledGroup, disabled]).nullable()),
  workflows: z.exactOptional(z.discriminatedUnion("type", [enabledGroup, disabled]).nullable()),
});
export type MultiagentMembersInput = z.infer<typeof membersInput>;

export const multiagentInput = z.discriminatedUnion("type", [coordinatorInput, membersInput]);
export type MultiagentInput = z.infer<typeof multiagentInput>;

/**
 * The resolved form, with `entry` for each agent: a reference in an agent's answer, the whole definition in a session's.
 * What this server does not serve is answered as disabled.
 */
export function multiagentOf<Entry extends z.ZodType>(entry: Entry) {
  return z.discriminatedUnion("type", [
    z.object({ type: z.literal("coordinator"), agents: z.array(entry) }),
    z.object({
      type: z.literal("multiagent_20261001"),
      advisor: disabled,
      subagents: z.discriminatedUnion("type", [
        z.object({ type: z.literal("enabled"), inline_agents: disabled, predefined_agents: z.array(entry) }),
        disabled,
      ]),
      workflows: disabled,
    }),
  ]);
}

export const agentReference = z.object({ type: z.literal("agent"), id: z.string(), version: z.int() });
export type AgentReference = z.infer<typeof agentReference>;

export const multiagent = multiagentOf(agentReference);
export type Multiagent = z.infer<typeof multiagent>;
