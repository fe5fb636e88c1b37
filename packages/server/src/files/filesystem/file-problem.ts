/** Faults of files, as the API tells them. @module */
import { Problem, type ProblemCode } from "../../errors.ts";
import { FileError, type FileErrorCode } from "../store.ts";

const codes: Readonly<Record<FileErrorCode, ProblemCode>> = {
  not_found: "not_found",
  is_directory: "invalid_request",
  not_directory: "invalid_request",
  read_only: "forbidden",
  conflict: "version_conflict",
  not_unique: "invalid_request",
  no_match: "invalid_request",
  binary: "invalid_request",
  too_large: "invalid_request",
  invalid_path: "invalid_path",
  path_conflict: "version_conflict",
  invalid_skill: "invalid_skill",
  no_permission: "forbidden",
  failed: "invalid_request",
};

/** Runs some work on files; what the caller did wrong is a Problem. */
export async function withProblems<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FileError) throw new Problem(codes[error.code], error.message);
    throw error;
  }
}
