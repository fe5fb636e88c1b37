/** /v1/deployments and /v1/deployment_runs @module */
import {
  createDeploymentRequest,
  deployment,
  deploymentPage,
  deploymentRun,
  deploymentRunPage,
  deploymentStatuses,
  triggerTypes,
  updateDeploymentRequest,
} from "@exoloop/protocol/deployments";
import { z } from "zod";
import type { DeploymentRuns, DeploymentService } from "../../deployments/port.ts";
import { Problem } from "../../errors.ts";
import { admitDeployment, admitDeploymentUpdate } from "../deployment-admission.ts";
import { readListQuery, writePage } from "../pages.ts";
import { createdRange, flag, limit, page, readRange } from "../query.ts";
import { type RouteContext, addRoute } from "../route.ts";

const tag = "Deployments";
const list = "/v1/deployments";
const item = `${list}/{deployment_id}` as const;
const id = "deployment_id";

export function addDeploymentRoutes(context: RouteContext, deployments: DeploymentService): void {
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: list,
      summary: "Create a deployment",
      tag,
      body: createDeploymentRequest,
      answer: deployment,
    },
    ({ principal, body }) => deployments.create(principal.organizationId, admitDeployment(body, new Date())),
  );
  addListRoute(context, deployments);
  addRoute(
    context,
    { method: "get", path: item, summary: "Retrieve a deployment", tag, answer: deployment },
    ({ principal, parameter }) => deployments.get(principal.organizationId, parameter(id)),
  );
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: item,
      summary: "Update a deployment",
      tag,
      body: updateDeploymentRequest,
      answer: deployment,
    },
    ({ principal, body, parameter }) =>
      deployments.update(principal.organizationId, parameter(id), admitDeploymentUpdate(body, new Date())),
  );
  for (const [verb, summary] of [
    ["archive", "Archive a deployment"],
    ["pause", "Pause a deployment"],
    ["unpause", "Unpause a deployment"],
  ] as const) {
    addRoute(
      context,
      { method: "post", admin: true, path: `${item}/${verb}`, summary, tag, answer: deployment },
      ({ principal, parameter }) => deployments[verb](principal.organizationId, parameter(id)),
    );
  }
  addRoute(
    context,
    { method: "post", path: `${item}/run`, summary: "Run a deployment now", tag, answer: deploymentRun },
    ({ principal, parameter }) => deployments.run(principal.organizationId, parameter(id)),
  );
}

function addListRoute(context: RouteContext, deployments: DeploymentService): void {
  const query = z.strictObject({
    limit,
    page,
    include_archived: flag,
    agent_id: z.string().max(128).optional(),
    status: z.enum(deploymentStatuses).optional(),
    ...createdRange,
  });
  addRoute(
    context,
    { method: "get", path: list, summary: "List deployments", tag, query, answer: deploymentPage },
    async ({ principal, query: asked }) => {
      if (asked.status !== undefined && asked.include_archived !== undefined) {
        throw new Problem("invalid_request", "status: not together with include_archived.", "Send one of the two.");
      }
      const scope = { list: "deployments", organizationId: principal.organizationId };
      const listQuery = {
        ...readListQuery(scope, asked),
        created: readRange(asked),
        ...(asked.agent_id === undefined ? {} : { agentId: asked.agent_id }),
        ...(asked.status === undefined ? {} : { status: asked.status }),
      };
      const rows = await deployments.list(principal.organizationId, listQuery);
      const { data, next_page } = writePage(scope, listQuery, rows, (row) => row);
      return { data, next_page };
    },
  );
}

export function addDeploymentRunRoutes(context: RouteContext, runs: DeploymentRuns): void {
  const query = z.strictObject({
    limit,
    page,
    deployment_id: z.string().max(128).optional(),
    has_error: flag,
    trigger_type: z.enum(triggerTypes).optional(),
    ...createdRange,
  });
  addRoute(
    context,
    {
      method: "get",
      path: "/v1/deployment_runs",
      summary: "List deployment runs",
      tag,
      query,
      answer: deploymentRunPage,
    },
    async ({ principal, query: asked }) => {
      const scope = { list: "deployment_runs", organizationId: principal.organizationId };
      const listQuery = {
        ...readListQuery(scope, asked),
        includeArchived: true,
        created: readRange(asked),
        ...(asked.deployment_id === undefined ? {} : { deploymentId: asked.deployment_id }),
        ...(asked.has_error === undefined ? {} : { hasError: asked.has_error }),
        ...(asked.trigger_type === undefined ? {} : { trigger: asked.trigger_type }),
      };
      const rows = await runs.list(principal.organizationId, listQuery);
      const { data, next_page } = writePage(scope, listQuery, rows, (row) => row);
      return { data, next_page };
    },
  );
  addRoute(
    context,
    {
      method: "get",
      path: "/v1/deployment_runs/{run_id}",
      summary: "Retrieve a deployment run",
      tag,
      answer: deploymentRun,
    },
    ({ principal, parameter }) => runs.get(principal.organizationId, parameter("run_id")),
  );
}
