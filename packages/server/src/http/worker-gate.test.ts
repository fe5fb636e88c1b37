import { expect, test } from "vitest";
import { Problem } from "../errors.ts";
import type { Principal } from "../orgs/principal.ts";
import { letIn, type WorkerKind } from "./worker-gate.ts";

const organization = { organizationId: "org_1", apiKeyId: "key_1" };
const admin: Principal = { ...organization, scopes: ["admin"] };
const plain: Principal = { ...organization, scopes: ["sessions"] };
/** Whatever its scopes say: what it belongs to comes first. */
const worker: Principal = { ...organization, scopes: ["admin"], environment: { environmentId: "env_1" } };
const grant = { sessionId: "sesn_1", environmentId: "env_1", workId: "work_1" };
const token: Principal = { ...organization, scopes: ["admin"], session: { ...grant, current: true } };
const late: Principal = { ...organization, scopes: [], session: { ...grant, current: false } };

function isLetIn(
  principal: Principal,
  gate: { admin?: boolean; workers?: readonly WorkerKind[] },
  path: Readonly<Record<string, string>> = {},
): boolean {
  try {
    letIn(principal, gate, (name) => path[name]);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(Problem);
    expect((error as Problem).code).toBe("forbidden");
    return false;
  }
}

test("a route that says nothing of workers is closed to them, and open to keys as before", () => {
  for (const gate of [{}, { admin: true }, { workers: [] }]) {
    expect([worker, token, late].map((principal) => isLetIn(principal, gate))).toEqual([false, false, false]);
  }
  expect([isLetIn(plain, {}), isLetIn(plain, { admin: true }), isLetIn(admin, { admin: true })]).toEqual([
    true,
    false,
    true,
  ]);
});

test("each worker is let in by its kind alone", () => {
  const letInBy = (workers: readonly WorkerKind[]) =>
    [worker, token, late].map((principal) => isLetIn(principal, { admin: true, workers }));
  expect(letInBy(["environment"])).toEqual([true, false, false]);
  expect(letInBy(["session"])).toEqual([false, true, false]);
  expect(letInBy(["late"])).toEqual([false, false, true]);
});

test("only on the path of its own environment, session and item", () => {
  const all: readonly WorkerKind[] = ["environment", "session", "late"];
  const at = (principal: Principal, path: Readonly<Record<string, string>>) =>
    isLetIn(principal, { workers: all }, path);
  expect(at(worker, { environment_id: "env_1", work_id: "work_2" })).toBe(true);
  expect(at(worker, { environment_id: "env_2" })).toBe(false);
  expect(at(worker, { session_id: "sesn_1" })).toBe(false);
  for (const principal of [token, late]) {
    expect(at(principal, { environment_id: "env_1", work_id: "work_1" })).toBe(true);
    expect(at(principal, { environment_id: "env_1", work_id: "work_2" })).toBe(false);
    expect(at(principal, { environment_id: "env_2", work_id: "work_1" })).toBe(false);
    expect(at(principal, { session_id: "sesn_1" })).toBe(true);
    expect(at(principal, { session_id: "sesn_2" })).toBe(false);
  }
});
