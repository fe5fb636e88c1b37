/** Who is calling, as every layer below HTTP knows it. @module */

export interface Principal {
  readonly organizationId: string;
  readonly apiKeyId: string;
  readonly scopes: readonly string[];
  /** The key of a worker: it takes the work of this environment and may do nothing else. */
  readonly environment?: { readonly environmentId: string };
  /** The token of one piece of work: it serves this session and may do nothing else. */
  readonly session?: SessionGrant;
  /** The person to whom the key was given; absent or null: it is the organization's own. */
  readonly userId?: string | null;
}

/** What a work item's token stands for. Its scopes are empty. */
export interface SessionGrant {
  readonly sessionId: string;
  readonly environmentId: string;
  readonly workId: string;
  /** False when the item has been handed to another worker since: then this one may no more than learn that. */
  readonly current: boolean;
}
