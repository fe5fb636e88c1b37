/**
 * Runs conformance cases against a provider. A case whose capability is declared absent is tried all the same where that
 * does no harm: a capability that works without being declared is reported.
 * @module
 */
import { randomBytes } from "node:crypto";
import type { CreateSandboxRequest, Sandbox, SandboxProvider } from "../contract.ts";
import { type ConformanceCase, type ConformanceContext, declarations } from "./conformance-case.ts";

export interface CaseResult {
  readonly id: string;
  readonly level: ConformanceCase["level"];
  readonly capability: ConformanceCase["capability"];
  readonly outcome: "passed" | "failed" | "not_applicable";
  /** Why it failed, or what else is to be known; null: nothing. */
  readonly detail: string | null;
  readonly milliseconds: number;
}

export interface ConformanceReport {
  readonly provider: string;
  readonly capabilities: SandboxProvider["capabilities"];
  readonly results: readonly CaseResult[];
  /** No MUST failed, and no declared capability is missing. */
  readonly ok: boolean;
}

export interface RunOptions {
  readonly cases: readonly ConformanceCase[];
  /** How many cases run at the same time. Default 1. */
  readonly parallel?: number;
  /** After this a case has failed. Default 30,000. */
  readonly timeoutMs?: number;
  readonly onResult?: (result: CaseResult) => void;
}

const resources = {
  memoryBytes: 512 << 20,
  processes: 128,
  cpus: 1,
  diskBytes: 256 << 20,
  files: 20_000,
};

/** As every provider takes it: `sbx_` and 26 characters of 0-9 and A-Z. */
function newId(): string {
  return `sbx_${randomBytes(13).toString("hex").toUpperCase()}`;
}

function openContext(provider: SandboxProvider, issued: Set<string>): ConformanceContext & { close(): Promise<void> } {
  const made: Sandbox[] = [];
  const request = (overrides: Partial<CreateSandboxRequest> = {}): CreateSandboxRequest => {
    const built = { id: newId(), owner: "conformance", resources, environment: {}, ...overrides };
    issued.add(built.id);
    return built;
  };
  const create = async (overrides?: Partial<CreateSandboxRequest>): Promise<Sandbox> => {
    const sandbox = await provider.create(request(overrides));
    made.push(sandbox);
    return sandbox;
  };
  return {
    provider,
    issued,
    request,
    create,
    async awake(overrides) {
      const sandbox = await create(overrides);
      await sandbox.resume();
      return sandbox;
    },
    async close() {
      await Promise.allSettled(made.map((sandbox) => sandbox.destroy()));
    },
  };
}

async function withinTime(promise: Promise<void>, milliseconds: number): Promise<void> {
  const { promise: expired, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`it did not end within ${milliseconds} ms`)), milliseconds);
  try {
    await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** Null: it holds. */
async function tryCase(
  provider: SandboxProvider,
  each: ConformanceCase,
  issued: Set<string>,
  timeoutMs: number,
): Promise<string | null> {
  const context = openContext(provider, issued);
  try {
    await withinTime(each.run(context), timeoutMs);
    return null;
  } catch (error) {
    return error instanceof Error
      ? `${error.name === "ClaimError" ? "" : `${error.name}: `}${error.message}`
      : String(error);
  } finally {
    await context.close();
  }
}

async function runCase(
  provider: SandboxProvider,
  each: ConformanceCase,
  issued: Set<string>,
  timeoutMs: number,
): Promise<CaseResult> {
  const { id, level, capability } = each;
  const begun = performance.now();
  const result = (outcome: CaseResult["outcome"], detail: string | null): CaseResult => ({
    id,
    level,
    capability,
    outcome,
    detail,
    milliseconds: Math.round(performance.now() - begun),
  });
  const isDeclared = capability === null || declarations[capability](provider.capabilities);
  if (!isDeclared && each.harmfulWithout === true) return result("not_applicable", null);
  const failure = await tryCase(provider, each, issued, timeoutMs);
  if (isDeclared) return result(failure === null ? "passed" : "failed", failure);
  return result("not_applicable", failure === null ? "it holds, although the capability is declared absent" : null);
}

/** @example await runConformance(createMemoryProvider(), { cases: allCases }) */
export async function runConformance(provider: SandboxProvider, options: RunOptions): Promise<ConformanceReport> {
  const { cases, parallel = 1, timeoutMs = 30_000 } = options;
  const waiting = [...cases.entries()];
  const results: CaseResult[] = [];
  const issued = new Set<string>();
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, each] = next;
      const result = await runCase(provider, each, issued, timeoutMs);
      results[index] = result;
      options.onResult?.(result);
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  const ok = !results.some(
    ({ outcome, level, capability }) => outcome === "failed" && (level === "MUST" || capability !== null),
  );
  return { provider: provider.id, capabilities: provider.capabilities, results, ok };
}
