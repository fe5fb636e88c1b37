/** How a case says what must hold. Nothing of a test framework: cases run wherever a provider does. @module */
import { isDeepStrictEqual, inspect } from "node:util";
import { SandboxFileError, type SandboxFileErrorCode, SandboxGoneError } from "../errors.ts";

export class ClaimError extends Error {
  override readonly name = "ClaimError";
}

function show(value: unknown): string {
  const text = inspect(value, { depth: 4, breakLength: Infinity, maxStringLength: 120, maxArrayLength: 12 });
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

export function claim(holds: boolean, what: string): asserts holds {
  if (!holds) throw new ClaimError(what);
}

export function claimEqual(actual: unknown, expected: unknown, what: string): void {
  if (!isDeepStrictEqual(actual, expected))
    throw new ClaimError(`${what}: expected ${show(expected)}, found ${show(actual)}`);
}

export function claimBytes(actual: Uint8Array | null, expected: Uint8Array, what: string): void {
  claim(actual !== null, `${what}: there is nothing`);
  claimEqual(actual.length, expected.length, `${what}: size`);
  claim(Buffer.compare(actual, expected) === 0, `${what}: the bytes differ`);
}

async function rejectionOf(promise: Promise<unknown>, what: string): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new ClaimError(`${what}: it was not refused`);
}

export async function claimFileError(
  promise: Promise<unknown>,
  code: SandboxFileErrorCode | null,
  what: string,
): Promise<void> {
  const error = await rejectionOf(promise, what);
  claim(error instanceof SandboxFileError, `${what}: expected a SandboxFileError, found ${show(error)}`);
  if (code !== null) claimEqual(error.code, code, `${what}: code`);
}

export async function claimGone(promise: Promise<unknown>, what: string): Promise<void> {
  const error = await rejectionOf(promise, what);
  claim(error instanceof SandboxGoneError, `${what}: expected a SandboxGoneError, found ${show(error)}`);
}

/** Any refusal, in one error. */
export async function claimRefused(promise: Promise<unknown>, what: string): Promise<void> {
  const error = await rejectionOf(promise, what);
  claim(error instanceof Error && error.message !== "", `${what}: refused without a message`);
}

/** Waits up to three seconds for it. */
export async function claimSoon(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = performance.now() + 3000; performance.now() < end; await pause(10)) if (await condition()) return;
  throw new ClaimError(`waited in vain: ${what}`);
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Whether a promise is still open after a while. */
export async function isOpenAfter(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const settled = promise.then(
    () => false,
    () => false,
  );
  return Promise.race([settled, pause(milliseconds).then(() => true)]);
}
