/** Who is calling, as every layer below HTTP knows it. @module */

export interface Principal {
  readonly organizationId: string;
  readonly apiKeyId: string;
  readonly scopes: readonly string[];
}
