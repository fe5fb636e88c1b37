/** Every message to the daemon, checked before anything is done with it. @module */
import type { CreateSandboxRequest } from "@exoloop/sandbox/contract";
import { type HostMethod, type HostRequest, sandboxIdPattern } from "@exoloop/sandbox/providers/local/host-messages";

/** One sentence: what is wrong with the message. */
export class InvalidRequestError extends Error {
  override readonly name = "InvalidRequestError";
  readonly number: number;
  constructor(number: number, message: string) {
    super(message);
    this.number = number;
  }
}

const methods: readonly HostMethod[] = [
  "hello",
  "create",
  "list",
  "status",
  "suspend",
  "resume",
  "destroy",
  "channel",
  "shutdown",
];
const limits = {
  memoryBytes: [16 << 20, 2 ** 42],
  processes: [4, 100_000],
  diskBytes: [1 << 20, 2 ** 44],
} as const;
const maximumVariables = 256;
const maximumEnvironmentBytes = 64 << 10;
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

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

function checkCreate(number: number, fields: Fields): CreateSandboxRequest {
  const { resources } = fields;
  if (!isFields(resources)) throw new InvalidRequestError(number, "resources is not an object");
  return {
    id: checkId(number, fields),
    resources: {
      memoryBytes: checkLimit(number, resources, "memoryBytes"),
      processes: checkLimit(number, resources, "processes"),
      diskBytes: checkLimit(number, resources, "diskBytes"),
    },
    environment: checkEnvironment(number, fields["environment"]),
  };
}

/** @throws InvalidRequestError */
export function parseHostRequest(payload: Buffer): HostRequest {
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
  if (method === "hello" || method === "list") return { number, method, parameters: {} };
  if (method === "create") return { number, method, parameters: checkCreate(number, parameters) };
  if (method === "shutdown") {
    return { number, method, parameters: { keepSandboxes: parameters["keepSandboxes"] === true } };
  }
  return { number, method, parameters: { id: checkId(number, parameters) } };
}
