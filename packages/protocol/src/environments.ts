/** Environments: where a session's commands run. @module */
import { z } from "zod";
import { deletionOf, pageOf } from "./pages.ts";
import { metadata, metadataPatch, timestamp } from "./values.ts";

const packageList = z.array(z.string().min(1).max(255)).max(256);
const packageManagers = ["apt", "cargo", "gem", "go", "npm", "pip"] as const;

const packagesInput = z.strictObject({
  type: z.exactOptional(z.literal("packages")),
  apt: z.exactOptional(packageList.nullable()),
  cargo: z.exactOptional(packageList.nullable()),
  gem: z.exactOptional(packageList.nullable()),
  go: z.exactOptional(packageList.nullable()),
  npm: z.exactOptional(packageList.nullable()),
  pip: z.exactOptional(packageList.nullable()),
});

const packages = z.object({
  type: z.literal("packages"),
  apt: packageList,
  cargo: packageList,
  gem: packageList,
  go: packageList,
  npm: packageList,
  pip: packageList,
});
export type Packages = z.infer<typeof packages>;

/** Whether any package is asked for. */
export function hasPackages(value: Packages): boolean {
  return packageManagers.some((manager) => value[manager].length > 0);
}

const allowedHost = z
  .string()
  .max(253)
  .regex(
    /^(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/,
    "a host name, an IPv4 address or *.host is allowed: no scheme, port or path",
  );
const allowedHosts = z.array(allowedHost).max(256);

const networkingInput = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("unrestricted") }),
  z.strictObject({
    type: z.literal("limited"),
    allowed_hosts: z.exactOptional(allowedHosts.nullable()),
    allow_mcp_servers: z.exactOptional(z.boolean().nullable()),
    allow_package_managers: z.exactOptional(z.boolean().nullable()),
  }),
]);

const networking = z.discriminatedUnion("type", [
  z.object({ type: z.literal("unrestricted") }),
  z.object({
    type: z.literal("limited"),
    allowed_hosts: allowedHosts,
    allow_mcp_servers: z.boolean(),
    allow_package_managers: z.boolean(),
  }),
]);
export type Networking = z.infer<typeof networking>;

/** What makes sandboxes. `local`: bubblewrap. */
export const sandboxProviderNames = ["local", "gvisor"] as const;
export type SandboxProviderName = (typeof sandboxProviderNames)[number];

const environmentConfigInput = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("cloud"),
    networking: z.exactOptional(networkingInput.nullable()),
    packages: z.exactOptional(packagesInput.nullable()),
    /** Null: the server's own choice. */
    x_exoloop: z.exactOptional(z.strictObject({ provider: z.enum(sandboxProviderNames).nullable() }).nullable()),
  }),
  z.strictObject({ type: z.literal("self_hosted") }),
]);
export type EnvironmentConfigInput = z.infer<typeof environmentConfigInput>;

/** `cloud` is a sandbox of this server; `self_hosted` is a worker of the caller. */
export const environmentConfig = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("cloud"),
    networking,
    packages,
    /** Absent: the server's own choice. */
    x_exoloop: z.exactOptional(z.object({ provider: z.enum(sandboxProviderNames) })),
  }),
  z.object({ type: z.literal("self_hosted") }),
]);
export type EnvironmentConfig = z.infer<typeof environmentConfig>;

const name = z.string().min(1).max(255);
const description = z.string().max(2048);
const scope = z.enum(["organization", "account"]);

export const createEnvironmentRequest = z
  .strictObject({
    name,
    config: z.exactOptional(environmentConfigInput.nullable()),
    description: z.exactOptional(description.nullable()),
    metadata: z.exactOptional(metadata),
    scope: z.exactOptional(scope.nullable()),
  })
  .meta({ id: "CreateEnvironmentRequest" });
export type CreateEnvironmentRequest = z.infer<typeof createEnvironmentRequest>;

/** Absent members stay. In `metadata`, null and the empty string delete the key. */
export const updateEnvironmentRequest = z
  .strictObject({
    name: z.exactOptional(name.nullable()),
    config: z.exactOptional(environmentConfigInput.nullable()),
    description: z.exactOptional(description.nullable()),
    metadata: z.exactOptional(metadataPatch),
    scope: z.exactOptional(scope.nullable()),
  })
  .meta({ id: "UpdateEnvironmentRequest" });
export type UpdateEnvironmentRequest = z.infer<typeof updateEnvironmentRequest>;

export const environment = z
  .object({
    id: z.string(),
    type: z.literal("environment"),
    name: z.string(),
    description: z.string().nullable(),
    config: environmentConfig,
    metadata: z.record(z.string(), z.string()),
    scope: z.literal("organization"),
    created_at: timestamp,
    updated_at: timestamp,
    archived_at: timestamp.nullable(),
  })
  .meta({ id: "Environment" });
export type Environment = z.infer<typeof environment>;

export const environmentPage = pageOf(environment).meta({ id: "EnvironmentPage" });
export const environmentDeletion = deletionOf("environment_deleted").meta({
  id: "EnvironmentDeletion",
});
