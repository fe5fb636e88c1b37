/** The client package as the commands see it. @module */
import { type Client, createClient, eachItem } from "@exoloop/client/client";
import type { SendableEvent } from "@exoloop/protocol/events";
import { previewTypes } from "@exoloop/protocol/previews";
import type { Session } from "@exoloop/protocol/sessions";
import {
  type Api,
  type BudgetApi,
  definedOutcome,
  type DeploymentApi,
  type Named,
  type NewSession,
  type SandboxApi,
  userMessage,
  type UserApi,
  type EnvironmentApi,
  type WebhookApi,
} from "./api.ts";
import { CommandError } from "./exit-codes.ts";
import type { FilesApi } from "./files-api.ts";
import type { Credentials } from "./home.ts";
import type { SkillsApi } from "./skills-api.ts";
import type { StreamedEvent } from "./render/transcript.ts";

/** Sends nothing before the first call. */
export function connectTo(connection: Credentials): Api {
  const client = createClient({ baseUrl: connection.url, apiKey: connection.apiKey });
  return {
    ...catalogueMethods(client),
    ...sessionMethods(client),
    ...deploymentMethods(client),
    ...budgetMethods(client),
    ...sandboxMethods(client),
    ...webhookMethods(client),
    ...userMethods(client),
    ...environmentMethods(client),
    ...fileMethods(client),
    ...skillMethods(client),
  };
}

const pageSize = 100;

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

function catalogueMethods(client: Client) {
  return {
    agents: (): Promise<Named[]> => collect(eachItem((page) => client.agents.list({ ...page, limit: pageSize }))),
    createAgent: ({ name, model, system }: Parameters<Api["createAgent"]>[0]): Promise<Named> =>
      client.agents.create({
        name,
        model,
        system,
        tools: [
          {
            type: "agent_toolset_20260401",
            default_config: { enabled: true, permission_policy: { type: "always_allow" } },
          },
        ],
      }),
    async defaultModel(): Promise<string> {
      const [first] = (await client.models.list({ limit: 1 })).data;
      if (first === undefined) throw new CommandError("The server offers no model: name one with --model.");
      return first.id;
    },
  };
}

function sessionMethods(client: Client) {
  return {
    createSession: ({ agentId, model, environmentId, title, message, rubric, ...more }: NewSession): Promise<Session> =>
      client.sessions.create({
        agent: model === undefined ? agentId : { type: "agent_with_overrides", id: agentId, model },
        environment_id: environmentId,
        title,
        ...(more.workspaceSnapshot === undefined ? {} : { x_exoloop: { workspace_snapshot: more.workspaceSnapshot } }),
        ...(message === undefined
          ? {}
          : { initial_events: [rubric === undefined ? userMessage(message) : definedOutcome(message, rubric)] }),
      }),
    session: (id: string) => client.sessions.retrieve(id),
    async sessions({ limit, status }: Parameters<Api["sessions"]>[0]): Promise<readonly Session[]> {
      return (
        await client.sessions.list({
          limit,
          ...(status === undefined ? {} : { statuses: [status] }),
        })
      ).data;
    },
    async send(sessionId: string, events: readonly SendableEvent[]): Promise<void> {
      await client.events.send(sessionId, events);
    },
    history: (sessionId: string): AsyncIterable<StreamedEvent> =>
      eachItem((page) => client.events.list(sessionId, { ...page, limit: 1000 })),
    follow: (sessionId: string, signal: AbortSignal, onReconnect?: () => void): AsyncIterable<StreamedEvent> =>
      client.events.stream(sessionId, {
        afterSeq: 0,
        previews: previewTypes,
        signal,
        ...(onReconnect === undefined ? {} : { onReconnect }),
      }),
    snapshots: (sessionId: string) =>
      eachItem((page) => client.snapshots.list(sessionId, { ...page, limit: pageSize })),
    threads: (sessionId: string) => eachItem((page) => client.threads.list(sessionId, { ...page, limit: 100 })),
    followThread: (sessionId: string, threadId: string, signal: AbortSignal): AsyncIterable<StreamedEvent> =>
      client.threads.stream(sessionId, threadId, { afterSeq: 0, signal }),
    runCommand: (sessionId: string, command: string) => client.commands.run(sessionId, { command }),
    async archiveSession(sessionId: string): Promise<void> {
      await client.sessions.archive(sessionId);
    },
  };
}

function fileMethods({ filesystem }: Client): FilesApi {
  return {
    file: (path) => filesystem.retrieve(path),
    directory: (path) => eachItem((page) => filesystem.list(path, { ...page, limit: 1_000 })),
    findFiles: async (path, glob, limit) => (await filesystem.find(path, glob, { limit })).data,
    readStoredFile: (path, moment) => filesystem.read(path, moment),
    commitFiles: (request) => filesystem.commit(request),
    searchFiles: (path, pattern, options) => filesystem.search(path, pattern, options),
    exportFiles: (path) => filesystem.export(path),
    fileVersions: async (query) => (await filesystem.versions(query)).data,
    fileDifference: (path, between) => filesystem.diff(path, between),
    restoreFiles: (request) => filesystem.restore(request),
    undoFiles: (request) => filesystem.undo(request),
    vouchForFile: (request) => filesystem.vouch(request),
    redactVersion: (id) => filesystem.redact(id),
    fileConflicts: async (query) => (await filesystem.conflicts(query)).data,
    conflictContent: (id) => filesystem.conflictContent(id),
    resolveConflict: (id, keep) => filesystem.resolveConflict(id, keep),
  };
}

function skillMethods({ skills }: Client): SkillsApi {
  const zip = (name: string, bytes: Uint8Array) => [
    { name: `${name}.zip`, content: new Blob([Uint8Array.from(bytes)], { type: "application/zip" }) },
  ];
  return {
    skills: () => collect(eachItem((page) => skills.list({ ...page, limit: pageSize }))),
    createSkill: (name, bytes) => skills.create(zip(name, bytes)),
    addSkillVersion: ({ id, name }, bytes) => skills.createVersion(id, zip(name, bytes)),
    skillVersions: (id) => collect(eachItem((page) => skills.versions(id, { ...page, limit: pageSize }))),
    downloadSkill: (id, version) => skills.download(id, version),
    deleteSkillVersion: async (id, version) => void (await skills.deleteVersion(id, version)),
    deleteSkill: async (id) => void (await skills.delete(id)),
  };
}

function sandboxMethods({ commands, sandboxes }: Client): SandboxApi {
  return {
    sandboxes: async () => (await sandboxes.list()).data,
    sandbox: (sessionId) => sandboxes.retrieve(sessionId),
    killSandbox: (sessionId) => sandboxes.kill(sessionId),
    moveSandbox: (sessionId, provider) => sandboxes.move(sessionId, provider),
    backgroundCommands: async (sessionId) => (await commands.list(sessionId)).data,
    commandOutput: (sessionId, commandId, offset) => commands.output(sessionId, commandId, offset),
    signalCommand: (sessionId, commandId, signal) => commands.signal(sessionId, commandId, signal),
    renewLease: (sessionId, commandId, seconds) => commands.renewLease(sessionId, commandId, seconds),
    previewPort: (sessionId, request) => sandboxes.preview(sessionId, request),
  };
}

function userMethods({ users, sessions }: Client): UserApi {
  return {
    users: () => collect(eachItem((page) => users.list({ ...page, limit: pageSize }))),
    createUser: (request) => users.create(request),
    archiveUser: (id) => users.archive(id),
    userKeys: async (id) => (await users.keys(id)).data,
    createUserKey: (id, request) => users.createKey(id, request),
    revokeUserKey: (id, keyId) => users.revokeKey(id, keyId),
    shareSession: (id) => sessions.share(id),
  };
}

function environmentMethods({ environments, environmentKeys }: Client): EnvironmentApi {
  return {
    async environments() {
      const all = await collect(eachItem((page) => environments.list({ ...page, limit: pageSize })));
      return all.map(({ id, name, config }) => ({ id, name, kind: config.type }));
    },
    createEnvironment: (name, { selfHosted = false } = {}) =>
      environments.create({ name, ...(selfHosted ? { config: { type: "self_hosted" } } : {}) }),
    environmentKeys: (id) => collect(eachItem((page) => environmentKeys.list(id, { ...page, limit: pageSize }))),
    createEnvironmentKey: (id, name) => environmentKeys.create(id, { name }),
    revokeEnvironmentKey: async (id, keyId) => void (await environmentKeys.revoke(id, keyId)),
  };
}

function webhookMethods({ webhooks }: Client): WebhookApi {
  return {
    webhooks: () => collect(eachItem((page) => webhooks.list({ ...page, limit: pageSize }))),
    createWebhook: (name) => webhooks.create({ name }),
    rotateWebhook: (id) => webhooks.rotate(id),
    deleteWebhook: async (id) => void (await webhooks.delete(id)),
    deliver: (id, delivery) => webhooks.deliver(id, delivery),
  };
}

function deploymentMethods(client: Client): DeploymentApi {
  return {
    createDeployment: ({ name, agentId, environmentId, message, schedule, missedRuns, overlap }) =>
      client.deployments.create({
        name,
        agent: agentId,
        environment_id: environmentId,
        initial_events: [userMessage(message)],
        ...(schedule === undefined ? {} : { schedule: { type: "cron", ...schedule } }),
        x_exoloop: {
          ...(missedRuns === undefined ? {} : { missed_runs: missedRuns }),
          ...(overlap === undefined ? {} : { overlap }),
        },
      }),
    deployment: (id) => client.deployments.retrieve(id),
    deployments: async (query) => (await client.deployments.list(query)).data,
    changeDeployment: (id, verb) => client.deployments[verb](id),
    runDeployment: (id) => client.deployments.run(id),
    deploymentRuns: async ({ limit, deploymentId, failed }) => {
      const page = await client.deploymentRuns.list({
        limit,
        ...(deploymentId === undefined ? {} : { deployment_id: deploymentId }),
        ...(failed === true ? { has_error: true } : {}),
      });
      return page.data;
    },
  };
}

function budgetMethods(client: Client): BudgetApi {
  return {
    budgets: async () => (await client.budgets.list()).data,
    setBudget: (request) => client.budgets.put(request),
    removeBudget: (name) => client.budgets.delete(name),
    setSessionBudget: (sessionId, limits) => client.sessions.update(sessionId, { x_exoloop: { budget: limits } }),
    usage: (query) => client.usage.report(query),
    usageCsv: (query) => client.usage.csv(query),
  };
}
