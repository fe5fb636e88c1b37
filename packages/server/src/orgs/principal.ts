/** Who is calling, as every layer below HTTP knows it. @module */

export interface Principal {
  readonly organizationId: string;
  readonly apiKeyId: string;
  readonly scopes: readonly string[];
  /** The person to whom the key was given; absent or null: it is the organization's own. */
  readonly userId?: string | null;
}
