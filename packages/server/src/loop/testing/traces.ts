/** The traces of the crash tests: each way that a session can go, as small as it can be. @module */
import type { AgentSnapshot } from "../context.ts";
import {
  answer,
  defineOutcome,
  deliver,
  giveResult,
  interrupt,
  raiseBudget,
  say,
  scriptText,
  type Trace,
} from "./trace.ts";

const usage = { input: 100, output: 10 };
const calls = (...toolCalls: readonly [string, object?][]) => ({
  usage,
  toolCalls: toolCalls.map(([name, input = {}]) => ({ name, input })),
});
const done = { text: "Done.", usage };

const asking: AgentSnapshot["tools"] = [
  {
    type: "agent_toolset_20260401",
    default_config: { enabled: true, permission_policy: { type: "always_ask" } },
    configs: [],
  },
];
const custom: AgentSnapshot["tools"] = [
  { type: "custom", name: "ask_person", description: "Asks.", input_schema: { type: "object" } },
];

const task = (agent: string, ...steps: readonly object[]): [string, object] => [
  "delegate",
  { agent, task: scriptText(steps) },
];

const plain: readonly Trace[] = [
  { name: "a plain answer", stimuli: [say([{ thinking: "Hm.", text: "Hello.", usage }]), say([done])] },
  { name: "one call after the other", stimuli: [say([calls(["write", { n: 1 }], ["bash"]), calls(["read"]), done])] },
  { name: "calls beside each other", stimuli: [say([calls(["read", { n: 1 }], ["grep"], ["read", { n: 2 }]), done])] },
  { name: "a command", stimuli: [say([calls(["bash"]), done])] },
  { name: "a call that is never repeated", stimuli: [say([calls(["edit"]), done])] },
  { name: "an unknown tool", agent: { tools: custom }, stimuli: [say([calls(["nothing"]), done])] },
  {
    name: "a call with malformed arguments",
    stimuli: [say([{ ...calls(["edit"]), fault: { kind: "malformed_arguments" } }, done])],
  },
  {
    name: "an answer cut by its length",
    stimuli: [say([{ ...calls(["edit"], ["read"]), fault: { kind: "length" } }, done])],
  },
  { name: "a refusal", stimuli: [say([{ text: "No.", usage, fault: { kind: "refusal" } }]), say([done])] },
];

const answered: readonly Trace[] = [
  {
    name: "an approval that is given",
    agent: { tools: asking },
    stimuli: [say([calls(["edit"], ["read"]), done]), answer("allow")],
  },
  {
    name: "an approval that is denied",
    agent: { tools: asking },
    stimuli: [say([calls(["edit"], ["bash"]), done]), answer("deny")],
  },
  {
    name: "a tool of the client",
    agent: { tools: custom },
    stimuli: [say([calls(["ask_person"]), done]), giveResult],
  },
  {
    name: "tools at a worker",
    selfHosted: true,
    stimuli: [say([calls(["bash"], ["edit"]), done]), giveResult],
  },
  {
    name: "a tool at a worker that is asked about",
    selfHosted: true,
    agent: { tools: asking },
    stimuli: [say([calls(["bash"]), done]), answer("allow"), giveResult],
  },
  {
    name: "a tool at a worker that is interrupted",
    selfHosted: true,
    stimuli: [say([calls(["bash"]), done]), interrupt, say([done])],
  },
  {
    name: "a thread whose tool is at a worker",
    selfHosted: true,
    roster: [{ name: "anna" }],
    stimuli: [say([calls(task("anna", calls(["bash"]), done)), done]), giveResult],
  },
  {
    name: "an interrupted thread whose tool is at a worker",
    selfHosted: true,
    roster: [{ name: "anna" }],
    stimuli: [say([calls(task("anna", calls(["bash"]), done)), done]), interrupt, say([done])],
  },
];

const disturbed: readonly Trace[] = [
  {
    name: "an interrupt of a command",
    stimuli: [say([calls(["bash", { waitForAbort: true, signal: true }], ["edit"]), done]), say([done])],
    signal: { during: "tool", stimulus: interrupt },
  },
  {
    name: "an interrupt of a model call",
    end: { failures: 1 },
    stimuli: [say([{ ...done, delayMs: 600_000 }]), say([done])],
    signal: { during: "model", stimulus: interrupt },
  },
  {
    name: "an interrupt of a call that waits for approval",
    agent: { tools: asking },
    stimuli: [say([calls(["edit"]), done]), interrupt, say([done])],
  },
  {
    name: "a message that steers",
    end: { says: "Steered." },
    stimuli: [say([calls(["read", { signal: true }]), calls(["bash"]), done])],
    signal: { during: "tool", stimulus: say([{ text: "Steered.", usage }]) },
  },
  {
    name: "a message that queues",
    end: { says: "Queued." },
    stimuli: [say([calls(["read", { signal: true }]), done])],
    signal: { during: "tool", stimulus: say([{ text: "Queued.", usage }], { delivery: "queue" }) },
  },
  {
    name: "a model that fails and comes back",
    end: { failures: 2 },
    stimuli: [say([{ ...done, fault: { kind: "overloaded", times: 2, retryAfterMs: 5_000 } }])],
  },
  {
    name: "a model that fails for good",
    end: { failures: 6 },
    stimuli: [say([{ ...done, fault: { kind: "server_error", times: 40 } }]), say([done])],
  },
];

const parked: readonly Trace[] = [
  { name: "a wait for an instant", stimuli: [say([calls(["wait_for", { seconds: 60 }], ["read"]), done])] },
  { name: "a wait for a webhook", stimuli: [say([calls(["wait_for", { webhook: "ci" }]), done]), deliver] },
  {
    name: "a wait for another session",
    stimuli: [say([calls(["wait_for", { session_id: "OTHER_SESSION" }]), done]), say([done], { to: "other" })],
  },
  {
    name: "a wait that is interrupted",
    end: { says: null },
    stimuli: [say([calls(["wait_for", { webhook: "ci" }]), done]), interrupt],
  },
  {
    name: "two threads beside each other",
    roster: [{ name: "anna" }, { name: "bert" }],
    stimuli: [
      say([calls(task("anna", calls(["edit"]), { text: "A.", usage }), task("bert", { text: "B.", usage })), done]),
    ],
  },
  {
    name: "a thread that asks",
    roster: [{ name: "anna", tools: asking }],
    stimuli: [say([calls(task("anna", calls(["edit"]), done)), done]), answer("allow")],
  },
  {
    name: "a thread that is interrupted",
    roster: [{ name: "anna", tools: asking }],
    stimuli: [say([calls(task("anna", calls(["edit"]), done)), done]), interrupt, say([done])],
  },
];

const long: readonly Trace[] = [
  {
    name: "a compaction",
    end: { failures: 1 },
    stimuli: [say([calls(["read"]), { ...calls(["bash"]), fault: { kind: "context_overflow" } }, done])],
  },
  {
    name: "an outcome with a revision",
    end: { says: "Better." },
    stimuli: [
      defineOutcome(
        { steps: [calls(["write"]), done, { text: "Better.", usage }], grades: [{ result: "needs_revision" }] },
        3,
      ),
    ],
  },
  {
    name: "an outcome that is not reached",
    stimuli: [defineOutcome({ steps: [done, done], grades: [{ result: "needs_revision", explanation: "Bad." }] }, 1)],
  },
  {
    name: "a budget that is reached and raised",
    // A lost attempt is charged like any other: the limit is far from what three of them cost.
    budget: { tokens: 2_000 },
    stimuli: [say([calls(["read"]), { ...calls(["edit"]), usage: { input: 5_000, output: 1 } }, done]), raiseBudget],
  },
  {
    name: "a long turn",
    // Arguments that are refused at once: each call counts as a step.
    stimuli: [say([calls(...Array.from({ length: 40 }, (): [string] => ["wait_for"])), calls(["edit"]), done])],
  },
];

export const traces: readonly Trace[] = [...plain, ...answered, ...disturbed, ...parked, ...long];
