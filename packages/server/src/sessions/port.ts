/**
 * What the HTTP layer asks of sessions; `service.ts` answers it. HTTP and the loop meet only behind it.
 * @module
 */
import type { BudgetLimit, BudgetLimitsPatch, PublicBudgetLimits } from "@exoloop/protocol/budgets";
import type { SupportedUserEvent } from "@exoloop/protocol/events";
import type {
  OutcomeEvaluation,
  SessionAgent,
  SessionAgentReference,
  SessionAgentUpdate,
  SessionShare,
} from "@exoloop/protocol/sessions";
import type { ThreadAgent } from "@exoloop/protocol/session-agent";
import type { ResourceInput, SessionResource } from "@exoloop/protocol/session-resources";
import type { SandboxFigures } from "@exoloop/protocol/sandboxes";
import type { SessionStatus } from "../db/tables.ts";
import type { ListPage, ListQuery, TimeRange } from "../agents/list.ts";
import type { BudgetLimits } from "../loop/budgets.ts";
import type { Principal } from "../orgs/principal.ts";
import type { Usage } from "./state.ts";

export type { Principal, SessionStatus };

/** One public event: records of the loop (`x.…`) never pass here. */
export interface StoredEvent {
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  /** Besides id, type and processed_at. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
  /** Null while a `user.*` event waits in the inbox. */
  readonly processedAt: Date | null;
}

/** Checked by HTTP: only content and kinds of events that this server can act on. */
export type UserEventInput = SupportedUserEvent;

/** Both as sent. */
export interface BudgetInput {
  readonly budget?: BudgetLimit;
  readonly limits?: PublicBudgetLimits;
}

/** Both as sent; absent keeps. */
export interface BudgetPatch {
  readonly budget?: BudgetLimit | null;
  readonly limits?: BudgetLimitsPatch | null;
}

export interface CreateSessionInput {
  readonly agent: SessionAgentReference;
  readonly environmentId: string;
  readonly title: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** At most 50. */
  readonly initialEvents: readonly UserEventInput[];
  readonly budget?: BudgetInput;
  /** What is attached to it. */
  readonly resources?: readonly ResourceInput[];
  /** What its workspace begins with. */
  readonly workspaceSnapshot?: string;
  /** For whom it works: the caller's own person unless an admin says otherwise. */
  readonly userId?: string;
  /** `private` unless asked otherwise where it works for somebody, else `shared`. */
  readonly visibility?: SessionVisibility;
}

export type SessionVisibility = "private" | "shared";

/** Absent keeps. In `metadata`, null deletes the key. */
export interface UpdateSessionInput {
  readonly title?: string | null;
  readonly metadata?: Readonly<Record<string, string | null>>;
  /** As sent; `patchSessionAgent` of agents/resolve.ts applies it. Only while the session is not running. */
  readonly agent?: SessionAgentUpdate;
  /** Whatever the session does. Raising one wakes it. */
  readonly budget?: BudgetPatch;
}

interface SessionStatFigures {
  /** Time spent running. */
  readonly activeSeconds: number;
  /** From creation to now, or to its end. */
  readonly durationSeconds: number;
}

export interface SessionRow {
  readonly id: string;
  readonly agent: SessionAgent;
  readonly environmentId: string;
  readonly title: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly status: SessionStatus;
  /** Its threads included. */
  readonly usage: Usage;
  readonly resources: readonly SessionResource[];
  readonly budget: BudgetLimits;
  /** In the order in which they were defined. */
  readonly outcomeEvaluations: readonly OutcomeEvaluation[];
  readonly stats: SessionStatFigures;
  /** The deployment whose run created it. */
  readonly deploymentId: string | null;
  /** For whom it works; null: nobody in particular. */
  readonly userId: string | null;
  readonly visibility: SessionVisibility;
  /** Null when the session has never used a sandbox. */
  readonly sandbox: SandboxFigures | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly archivedAt: Date | null;
}

/** `order` (of creation) is `desc` unless asked otherwise; position and direction come from the cursor. */
export interface ListSessionsQuery extends ListQuery {
  readonly agentId?: string;
  readonly agentVersion?: number;
  readonly deploymentId?: string;
  /** Sessions that it is attached to. */
  readonly memoryStoreId?: string;
  readonly userId?: string;
  readonly statuses?: readonly SessionStatus[];
}

export interface EventQuery {
  /** Exclusive. */
  readonly after?: number;
  /** Exclusive. */
  readonly before?: number;
  readonly order: "asc" | "desc";
  /** 1–1,000. */
  readonly limit: number;
  readonly types?: readonly string[];
  /** Compared with `processedAt`. */
  readonly processed?: TimeRange;
}

/**
 * Every method throws Problem `not_found` for a session that does not exist, belongs to another organization, or is
 * private to somebody else, and these cannot be told apart. An admin's key may `get`, `list`, `archive` and `delete`
 * private ones; for the rest it gets `forbidden`. Who may what: `access.ts`.
 */
export interface SessionService {
  /** Stores the session, appends the initial events and wakes it, in one transaction. */
  create(principal: Principal, input: CreateSessionInput): Promise<SessionRow>;
  get(principal: Principal, sessionId: string): Promise<SessionRow>;
  list(principal: Principal, query: ListSessionsQuery): Promise<ListPage<SessionRow>>;
  update(principal: Principal, sessionId: string, patch: UpdateSessionInput): Promise<SessionRow>;
  /** Archiving twice answers the same. */
  archive(principal: Principal, sessionId: string): Promise<SessionRow>;
  delete(principal: Principal, sessionId: string): Promise<void>;
  /** As `share.ts` says. */
  share(principal: Principal, sessionId: string): Promise<SessionShare>;
  /** Admits all or none. */
  send(principal: Principal, sessionId: string, events: readonly UserEventInput[]): Promise<readonly StoredEvent[]>;
  events(principal: Principal, sessionId: string, query: EventQuery): Promise<readonly StoredEvent[]>;
  head(principal: Principal, sessionId: string): Promise<LogHead>;
}

export interface ThreadRow {
  readonly id: string;
  readonly sessionId: string;
  readonly agent: ThreadAgent;
  /** Null for the session's own conversation. */
  readonly parentThreadId: string | null;
  readonly status: SessionStatus;
  /** Null until it has run. */
  readonly stats: SessionStatFigures | null;
  /** Its own, without what other threads used. Null until it has come to rest. */
  readonly usage: Usage | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly archivedAt: Date | null;
}

export interface LogHead {
  /** The log's last number, public or not. */
  readonly seq: number;
  readonly status: SessionStatus;
  readonly archived: boolean;
}

/**
 * The threads of a session; the primary one, whose identifier is made from the session's, is the session itself. Every
 * method throws Problem `not_found` as those of SessionService do, and for a thread of another session.
 */
export interface ThreadService {
  /** The primary thread first, the others as they were created. `after` counts threads. */
  list(
    principal: Principal,
    sessionId: string,
    query: { readonly after: number; readonly limit: number; readonly statuses?: readonly SessionStatus[] },
  ): Promise<{ readonly rows: readonly ThreadRow[]; readonly more: boolean }>;
  get(principal: Principal, sessionId: string, threadId: string): Promise<ThreadRow>;
  /** Archiving twice answers the same. @throws Problem `invalid_request` for the primary thread */
  archive(principal: Principal, sessionId: string, threadId: string): Promise<ThreadRow>;
  /** Where the thread's events are, and its agent's name; null for the primary thread. */
  log(
    principal: Principal,
    sessionId: string,
    threadId: string,
  ): Promise<{ readonly logId: string; readonly agentName: string | null }>;
  head(principal: Principal, sessionId: string, threadId: string): Promise<LogHead>;
  events(principal: Principal, sessionId: string, threadId: string, query: EventQuery): Promise<readonly StoredEvent[]>;
}
