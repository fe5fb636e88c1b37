/** What the HTTP layer asks of deployments and their runs. @module */
import type {
  Deployment,
  DeploymentRun,
  DeploymentStatus,
  MissedRunsPolicy,
  OverlapPolicy,
  TriggerType,
} from "@exoloop/protocol/deployments";
import type { ResourceConfig } from "@exoloop/protocol/session-resources";
import type { ListPage, ListQuery } from "../agents/list.ts";
import type { UserEventInput } from "../sessions/port.ts";
import type { Schedule } from "./cron.ts";

export interface CreateDeploymentInput {
  readonly name: string;
  readonly description: string | null;
  /** Without a version, the latest. */
  readonly agent: { readonly id: string; readonly version?: number };
  readonly environmentId: string;
  /** 1–50. */
  readonly initialEvents: readonly UserEventInput[];
  /** Checked. Null: started by hand only. */
  readonly schedule: Schedule | null;
  /** What is attached to its sessions. */
  readonly resources: readonly ResourceConfig[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly missedRuns: MissedRunsPolicy;
  readonly overlap: OverlapPolicy;
}

/** Absent keeps. In `metadata`, null deletes the key. */
export type UpdateDeploymentInput = Partial<Omit<CreateDeploymentInput, "metadata">> & {
  readonly metadata?: Readonly<Record<string, string | null>>;
};

export interface ListDeploymentsQuery extends ListQuery {
  readonly agentId?: string;
  readonly status?: DeploymentStatus;
}

export interface ListRunsQuery extends ListQuery {
  readonly deploymentId?: string;
  readonly hasError?: boolean;
  readonly trigger?: TriggerType;
}

/** Deployments of one organization at a time: another organization's deployment is `not_found`. */
export interface DeploymentService {
  /** @throws Problem `not_found`, `agent_archived`, `environment_archived` */
  create(organizationId: string, input: CreateDeploymentInput): Promise<Deployment>;
  /** @throws Problem `not_found` */
  get(organizationId: string, deploymentId: string): Promise<Deployment>;
  /**
   * Another schedule begins now: what the old one has left waiting is dropped.
   * @throws Problem `not_found`, `deployment_archived`, `agent_archived`, `environment_archived`, `invalid_metadata`
   */
  update(organizationId: string, deploymentId: string, input: UpdateDeploymentInput): Promise<Deployment>;
  list(organizationId: string, query: ListDeploymentsQuery): Promise<ListPage<Deployment>>;
  /** For good. Archiving twice answers the same. @throws Problem `not_found` */
  archive(organizationId: string, deploymentId: string): Promise<Deployment>;
  /** Its instants do not come until it is unpaused, and are not missed. @throws Problem `not_found`, `deployment_archived` */
  pause(organizationId: string, deploymentId: string): Promise<Deployment>;
  /** @throws Problem `not_found`, `deployment_archived` */
  unpause(organizationId: string, deploymentId: string): Promise<Deployment>;
  /**
   * Starts a run now, also of a paused deployment and beside another run. A session that cannot be created is a run
   * with an error.
   * @throws Problem `not_found`, `deployment_archived`
   */
  run(organizationId: string, deploymentId: string): Promise<DeploymentRun>;
}

export interface DeploymentRuns {
  /** @throws Problem `not_found` */
  get(organizationId: string, runId: string): Promise<DeploymentRun>;
  list(organizationId: string, query: ListRunsQuery): Promise<ListPage<DeploymentRun>>;
}
