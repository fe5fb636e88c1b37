/** The configuration of an environment: made from a request, changed by a request. Pure. @module */
import {
  type EnvironmentConfig,
  type EnvironmentConfigInput,
  type Networking,
  type Packages,
  hasPackages,
} from "@exoloop/protocol/environments";
import { Problem } from "../errors.ts";

type CloudConfig = Extract<EnvironmentConfig, { type: "cloud" }>;
type CloudInput = Extract<EnvironmentConfigInput, { type: "cloud" }>;
type LimitedNetworking = Extract<Networking, { type: "limited" }>;

/** Nothing is reachable until somebody allows it. */
const closedNetworking: LimitedNetworking = {
  type: "limited",
  allowed_hosts: [],
  allow_mcp_servers: false,
  allow_package_managers: false,
};

const noPackages: Packages = {
  type: "packages",
  apt: [],
  cargo: [],
  gem: [],
  go: [],
  npm: [],
  pip: [],
};

function resolveNetworking(input: CloudInput["networking"], current: Networking): Networking {
  if (input === null || input === undefined) return current;
  if (input.type === "unrestricted") return input;
  const base = current.type === "limited" ? current : closedNetworking;
  return {
    type: "limited",
    allowed_hosts: input.allowed_hosts ?? base.allowed_hosts,
    allow_mcp_servers: input.allow_mcp_servers ?? base.allow_mcp_servers,
    allow_package_managers: input.allow_package_managers ?? base.allow_package_managers,
  };
}

function resolvePackages(input: CloudInput["packages"], current: Packages): Packages {
  if (input === null || input === undefined) return current;
  return {
    type: "packages",
    apt: input.apt ?? current.apt,
    cargo: input.cargo ?? current.cargo,
    gem: input.gem ?? current.gem,
    go: input.go ?? current.go,
    npm: input.npm ?? current.npm,
    pip: input.pip ?? current.pip,
  };
}

/** A session that has a sandbox already stays where it is: it is moved by itself. */
function resolveProvider(
  input: CloudInput["x_exoloop"],
  current: CloudConfig["x_exoloop"],
): Pick<CloudConfig, "x_exoloop"> {
  if (input === null || input === undefined) return current === undefined ? {} : { x_exoloop: current };
  return input.provider === null ? {} : { x_exoloop: { provider: input.provider } };
}

/**
 * Members that the request leaves out keep their value, or have their default in a new environment: a network that
 * reaches nothing, no packages.
 * @throws Problem `unsupported` for what this server would not do: silence would be a promise
 */
export function resolveConfig(input: EnvironmentConfigInput, current?: EnvironmentConfig): EnvironmentConfig {
  if (input.type === "self_hosted") return input;
  const base: CloudConfig =
    current?.type === "cloud" ? current : { type: "cloud", networking: closedNetworking, packages: noPackages };
  const config: CloudConfig = {
    type: "cloud",
    networking: resolveNetworking(input.networking, base.networking),
    packages: resolvePackages(input.packages, base.packages),
    ...resolveProvider(input.x_exoloop, base.x_exoloop),
  };
  if (hasPackages(config.packages)) {
    throw new Problem(
      "unsupported",
      "config.packages: this server does not install packages into a sandbox.",
      "Install them on the machine that runs the sandboxes: its /usr is what a sandbox sees.",
    );
  }
  return config;
}
