/** The content of a stored file, as it is or as it was. @module */
import type { FileMoment, ReadFile } from "../../http/routes/filesystem.ts";
import type { Principal } from "../../orgs/principal.ts";
import { readPast } from "../postgres/past.ts";
import { FileError } from "../store.ts";
import { placeInMount, principalMounts } from "./principal-mounts.ts";
import type { FilesystemParts } from "./reading.ts";

/** @throws FileError `not_found` also for what was deleted by then, or redacted since */
export async function readFile(
  { database }: FilesystemParts,
  principal: Principal,
  wanted: string,
  moment: FileMoment,
): Promise<ReadFile> {
  const { path, mount } = placeInMount(await principalMounts(database, principal), wanted);
  const past = await readPast(database, principal.organizationId, mount, path, moment);
  if (past === null) throw new FileError("not_found", `${path} ${absence(moment)}.`);
  if (past.redacted) throw new FileError("not_found", `The content of ${path} version ${past.version} was redacted.`);
  if (past.sha256 === null || past.bytes === null)
    throw new FileError(
      "not_found",
      `${path} ${moment.version === undefined ? absence(moment) : "holds no text in that version"}.`,
    );
  return { bytes: past.bytes, version: past.version, sha256: past.sha256 };
}

function absence({ version, revision, at }: FileMoment): string {
  if (version !== undefined) return `has no version ${version}`;
  if (revision !== undefined) return `did not exist at revision ${revision}`;
  return at === undefined ? "does not exist" : `did not exist at ${at.toISOString()}`;
}
