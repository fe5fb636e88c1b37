/** Errors that a sandbox provider may reject with. Nothing else crosses the contract. @module */

/** The sandbox does not exist any more. The caller creates the next generation. */
export class SandboxGoneError extends Error {
  override readonly name = "SandboxGoneError";
  readonly sandboxId: string;
  readonly reason: string;
  /**
   * False only where it is certain that the sandbox saw nothing of the call: it was gone before a byte was written. The
   * call may then be made in another sandbox, a command too.
   */
  readonly reached: boolean;
  constructor(sandboxId: string, reason: string, { reached = true }: { readonly reached?: boolean } = {}) {
    super(`sandbox ${sandboxId} is gone: ${reason}`);
    this.sandboxId = sandboxId;
    this.reason = reason;
    this.reached = reached;
  }
}

export type SandboxFileErrorCode =
  | "is_directory"
  | "not_directory"
  | "not_regular"
  | "no_permission"
  | "too_large"
  | "no_space"
  | "failed";

/** A file operation was refused inside the sandbox. */
export class SandboxFileError extends Error {
  override readonly name = "SandboxFileError";
  readonly code: SandboxFileErrorCode;
  readonly path: string;
  constructor(code: SandboxFileErrorCode, path: string, message: string) {
    super(message);
    this.code = code;
    this.path = path;
  }
}

/** The provider cannot work here. `remedy` is one sentence: the package, setting or flag that mends it. */
export class SandboxUnavailableError extends Error {
  override readonly name = "SandboxUnavailableError";
  readonly remedy: string;
  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}
