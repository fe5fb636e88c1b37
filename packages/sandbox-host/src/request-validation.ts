/** Every message to the daemon, checked before anything is done with it. @module */
import type { HostMethod, HostRequest } from "@exoloop/sandbox/providers/local/host-messages";
import type { SandboxMake } from "./state.ts";

/** One sentence: what is wrong with the message. */
export class InvalidRequestError extends Error {
  override readonly name = "InvalidRequestError";
  readonly number: number;
  constructor(number: number, message: string) {
    super(message);
    this.number = number;
  }
}

const methods = "hello create list status locate attend suspend resume destroy pool shutdown".split(" ");
const limits = {
  memoryBytes: [16 << 20, 2 ** 42],
  processes: [4, 100_000],
  diskBytes: [1 << 20, 2 ** 44],
  files: [16, 2 ** 32],
} as const;
const cpus = [0.1, 1024] as const;
const runtimes = ["bubblewrap", "gvisor"] as const;
const sandboxIdPattern = /^sbx_[0-9A-Z]{26}$/;
const ownerPattern = /^[a-z0-9_]{1,64}$/;
const maximumPool = 32;
const maximumVariables = 256;
const maximumEnvironmentBytes = 64 << 10;
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** One whose parameters are known by its method. */
export type AnyHostRequest = { [M in HostMethod]: HostRequest<M> }[HostMethod];

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isMethod(value: unknown): value is HostMethod {
  return typeof value === "string" && methods.some((method) => method === value);
}

function checkId(number: number, fields: Fields): string {
  const { id } = fields;
  if (typeof id === "string" && sandboxIdPattern.test(id)) return id;
  throw new InvalidRequestError(number, "a sandbox id is sbx_ and 26 characters of 0-9 and A-Z");
}

function checkEnvironment(number: number, value: unknown): Record<string, string> {
  if (!isFields(value)) throw new InvalidRequestError(number, "environment is not an object");
  const environment: Record<string, string> = {};
  let bytes = 0;
  for (const [name, text] of Object.entries(value)) {
    if (!variableName.test(name)) throw new InvalidRequestError(number, "an environment variable has a malformed name");
    if (typeof text !== "string" || text.includes("\0"))
      throw new InvalidRequestError(number, `environment ${name} is not text`);
    bytes += Buffer.byteLength(name) + Buffer.byteLength(text) + 2;
    environment[name] = text;
  }
  const tooMany = Object.keys(environment).length > maximumVariables || bytes > maximumEnvironmentBytes;
  if (tooMany) throw new InvalidRequestError(number, `environment has more than ${maximumEnvironmentBytes} bytes`);
  return environment;
}

function checkLimit(number: number, resources: Fields, name: keyof typeof limits): number {
  const value = resources[name];
  const [least, most] = limits[name];
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new InvalidRequestError(number, `resources.${name} is not an integer from ${least} to ${most}`);
}

function checkRuntime(number: number, { runtime }: Fields): SandboxMake["runtime"] {
  const known = runtimes.find((name) => name === runtime);
  if (known !== undefined) return known;
  throw new InvalidRequestError(number, `runtime is not one of ${runtimes.join(", ")}`);
}

function checkMake(number: number, fields: Fields): SandboxMake {
  const { resources } = fields;
  if (!isFields(resources)) throw new InvalidRequestError(number, "resources is not an object");
  const cores = resources["cpus"];
  if (typeof cores !== "number" || !(cores >= cpus[0] && cores <= cpus[1]))
    throw new InvalidRequestError(number, `resources.cpus is not a number from ${cpus[0]} to ${cpus[1]}`);
  return {
    runtime: checkRuntime(number, fields),
    resources: {
      memoryBytes: checkLimit(number, resources, "memoryBytes"),
      processes: checkLimit(number, resources, "processes"),
      cpus: cores,
      diskBytes: checkLimit(number, resources, "diskBytes"),
      files: checkLimit(number, resources, "files"),
    },
    environment: checkEnvironment(number, fields["environment"]),
  };
}

function checkOwner(number: number, { owner }: Fields): string {
  if (typeof owner === "string" && ownerPattern.test(owner)) return owner;
  throw new InvalidRequestError(number, "an owner is 1 to 64 characters of a-z, 0-9 and _");
}

function checkCount(number: number, { count }: Fields): number {
  if (typeof count === "number" && Number.isInteger(count) && count >= 0 && count <= maximumPool) return count;
  throw new InvalidRequestError(number, `count is not an integer from 0 to ${maximumPool}`);
}

/** @throws InvalidRequestError */
export function parseHostRequest(payload: Buffer): AnyHostRequest {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString("utf8"));
  } catch {
    throw new InvalidRequestError(0, "the request is not JSON");
  }
  if (!isFields(value)) throw new InvalidRequestError(0, "the request is not an object");
  const number = typeof value["number"] === "number" && Number.isSafeInteger(value["number"]) ? value["number"] : 0;
  const { method, parameters } = value;
  if (!isMethod(method)) throw new InvalidRequestError(number, "there is no such method");
  if (!isFields(parameters)) throw new InvalidRequestError(number, "parameters is not an object");
  switch (method) {
    case "hello":
      return { number, method, parameters: {} };
    case "list":
      return { number, method, parameters: { runtime: checkRuntime(number, parameters) } };
    case "create": {
      const id = checkId(number, parameters);
      const owner = checkOwner(number, parameters);
      return { number, method, parameters: { id, owner, ...checkMake(number, parameters) } };
    }
    case "pool": {
      const count = checkCount(number, parameters);
      return { number, method, parameters: { count, ...checkMake(number, parameters) } };
    }
    case "shutdown":
      return { number, method, parameters: { keepSandboxes: parameters["keepSandboxes"] === true } };
    default:
      return { number, method, parameters: { id: checkId(number, parameters) } };
  }
}
