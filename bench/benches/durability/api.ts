/**
 * A client that does not give up: it asks whichever worker answers, sends a POST again under the same key, and where no
 * answer will come looks whether the request had an effect.
 * @module
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "./pool.ts";
import type { Random } from "@exoloop/sandbox/testing/random";

export interface Api {
  /** @throws Error for a refusal, or when nobody answers for two minutes */
  post(path: string, body: unknown, hadEffect?: () => Promise<unknown>): Promise<unknown>;
  get(path: string): Promise<unknown>;
  /** The answer of one worker, whatever it is; null when there is none. */
  request(method: string, path: string, init?: RequestInit): Promise<Response | null>;
}

const patienceMs = 120_000;
/** Longer than a worker is ever stopped: a request that it holds has been done, or never will be. */
const keyPatienceMs = 15_000;

export function createApi(pool: Pool, random: Random): Api {
  const request: Api["request"] = async (method, path, init = {}) => {
    const running = pool.workers().filter((worker) => worker.state !== "starting");
    if (running.length === 0) return null;
    // A worker that is stopped takes connections and is silent, as one behind a broken network: clients meet it too.
    const { url } = random.pick(running);
    const headers = { authorization: `Bearer ${pool.adminKey}`, ...(init.headers as Record<string, string>) };
    return fetch(`${url}${path}`, { ...init, method, headers }).catch(() => null);
  };
  const attempt = async (method: string, path: string, init: RequestInit) => {
    const response = await request(method, path, { ...init, signal: AbortSignal.timeout(5_000) });
    const body: unknown = await response?.json().catch(() => null);
    return response === null || body === null || body === undefined ? null : { status: response.status, body };
  };
  const get = async (path: string): Promise<unknown> => {
    for (const deadline = Date.now() + patienceMs; Date.now() < deadline; await sleep(100)) {
      const answer = await attempt("GET", path, {});
      if (answer?.status === 200) return answer.body;
      if (answer !== null && answer.status < 500) throw new Error(`GET ${path}: ${JSON.stringify(answer.body)}`);
    }
    throw new Error(`GET ${path}: nobody answers`);
  };
  return {
    request,
    get,
    async post(path, body, hadEffect) {
      let key = randomUUID();
      let keySince = Date.now();
      for (const deadline = Date.now() + patienceMs; Date.now() < deadline; await sleep(100)) {
        const headers = { "content-type": "application/json", "idempotency-key": key };
        const answer = await attempt("POST", path, { headers, body: JSON.stringify(body) });
        if (answer?.status === 200) return answer.body;
        if (answer !== null && answer.status < 500 && answer.status !== 409)
          throw new Error(`POST ${path}: ${JSON.stringify(answer.body)}`);
        if (answer?.status !== 409) continue;
        const effect = await hadEffect?.();
        if (effect !== undefined && effect !== null) return effect;
        if (Date.now() - keySince < keyPatienceMs) continue;
        key = randomUUID();
        keySince = Date.now();
      }
      throw new Error(`POST ${path}: nobody answers`);
    },
  };
}
