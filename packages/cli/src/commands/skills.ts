/** `exoloop skills list|import|validate|versions|export|delete`. @module */
import { readFile, stat, writeFile } from "node:fs/promises";
import type { Skill } from "@exoloop/protocol/skills";
import { describeProblem, type SkillProblem } from "@exoloop/server/skills/format/problem";
import { readSkill, type SkillReading } from "@exoloop/server/skills/format/skill-files";
import { readFolder } from "@exoloop/server/skills/intake/folder";
import { fetchGitSkill, looksLikeGit } from "@exoloop/server/skills/intake/git";
import { type SkillSource, SkillSourceError } from "@exoloop/server/skills/intake/skill-source";
import { largestArchive, unzipSkill, zipSkill } from "@exoloop/server/skills/intake/zip";
import type { Api } from "../api.ts";
import { type CommandContext, writeJson, writeLine } from "../context.ts";
import { CommandError, exitCodes, type ExitCode } from "../exit-codes.ts";
import { writingTo } from "../new-file.ts";
import { escapeForTerminal, escapeToLine } from "../render/escape.ts";
import { tableLines } from "../render/table.ts";

interface JsonOption {
  readonly json?: boolean;
}

export interface ImportOptions extends JsonOption {
  readonly subdirectory?: string;
  readonly reference?: string;
}

export interface ExportOptions {
  readonly skillVersion?: string;
}

export interface DeleteOptions extends JsonOption {
  readonly skillVersion?: string;
}

const latest = "latest";

export async function listSkills(context: CommandContext, { json }: JsonOption): Promise<ExitCode> {
  const skills = [...(await (await context.connect()).skills())].sort((left, right) =>
    left.x_exoloop.name < right.x_exoloop.name ? -1 : 1,
  );
  if (json === true) writeJson(context.output, { data: skills });
  else if (skills.length === 0) {
    writeLine(context.progress, "No skills. Bring one in: exoloop skills import <folder>");
  } else {
    const rows = skills.map((skill) => [
      escapeToLine(skill.x_exoloop.name),
      skill.id,
      skill.updated_at.replace("T", " ").slice(0, 16),
      skill.x_exoloop.directory ?? "(removed from /skills)",
    ]);
    for (const line of tableLines(["NAME", "ID", "CHANGED (UTC)", "PLACE"], rows, context)) {
      writeLine(context.output, line);
    }
  }
  return exitCodes.ok;
}

export async function importSkill(context: CommandContext, from: string, options: ImportOptions): Promise<ExitCode> {
  const source = await readSource(from, options);
  const reading = readSkill(source.files, source.directory);
  if (reading.manifest === null) throw new CommandError(problemText(reading.problems));
  if (options.json !== true) tellNotices(context, reading.notices);
  const { name } = reading.manifest;
  const zip = await zipSkill(name, source.files);
  const api = await context.connect();
  const known = (await api.skills()).find((skill) => skill.x_exoloop.name === name);
  if (known === undefined) {
    const skill = await api.createSkill(name, zip);
    report(context, options, { skill_id: skill.id, version: skill.latest_version_id, name, created: true });
    return exitCodes.ok;
  }
  const version = await api.addSkillVersion({ id: known.id, name }, zip);
  const same = version.id === known.latest_version_id;
  report(context, options, { skill_id: known.id, version: version.id, name, created: false, unchanged: same });
  return exitCodes.ok;
}

interface Imported {
  readonly skill_id: string;
  readonly version: string;
  readonly name: string;
  readonly created: boolean;
  readonly unchanged?: boolean;
}

function report(context: CommandContext, { json }: JsonOption, imported: Imported): void {
  if (json === true) {
    writeJson(context.output, imported);
    return;
  }
  const { name, created, unchanged, version } = imported;
  const what = unchanged === true ? "is the same as before" : created ? "is new" : "has a new version";
  writeLine(context.progress, `${escapeToLine(name)} ${what}: ${version}. Sessions see it from their next turn on.`);
}

export async function validateSkill(context: CommandContext, from: string, options: ImportOptions): Promise<ExitCode> {
  const source = await readSource(from, options);
  const reading = readSkill(source.files, source.directory);
  if (options.json === true) writeJson(context.output, asJson(reading));
  else {
    for (const problem of reading.problems) writeLine(context.output, escapeForTerminal(describeProblem(problem)));
    tellNotices(context, reading.notices);
    if (reading.manifest !== null)
      writeLine(context.progress, `${reading.manifest.name} is a skill: ${source.files.length} files.`);
  }
  return reading.manifest === null ? exitCodes.failure : exitCodes.ok;
}

function asJson({ manifest, problems, notices }: SkillReading) {
  return { valid: manifest !== null, name: manifest?.name ?? null, problems, notices };
}

function tellNotices(context: CommandContext, notices: readonly SkillProblem[]): void {
  for (const notice of notices) writeLine(context.progress, `note: ${escapeForTerminal(describeProblem(notice))}`);
}

function problemText(problems: readonly SkillProblem[]): string {
  return [...problems.map(describeProblem), "Nothing was stored."].join("\n");
}

/** @throws CommandError */
async function readSource(from: string, options: ImportOptions): Promise<SkillSource> {
  const { subdirectory, reference } = options;
  try {
    if (looksLikeGit(from)) {
      return await fetchGitSkill({
        url: from,
        ...(subdirectory === undefined ? {} : { subdirectory }),
        ...(reference === undefined ? {} : { reference }),
      });
    }
    if (subdirectory !== undefined || reference !== undefined)
      throw new CommandError("--subdirectory and --reference are for git repositories.", exitCodes.usage);
    const stats = await stat(from).catch(() => null);
    if (stats === null) throw new CommandError(`There is no ${from}.`, exitCodes.notFound);
    if (stats.isDirectory()) return await readFolder(from);
    if (stats.size > largestArchive)
      throw new CommandError(`${from} has ${stats.size} bytes; at most ${largestArchive} are taken.`);
    return await unzipSkill(await readFile(from));
  } catch (error) {
    if (error instanceof SkillSourceError) throw new CommandError(error.message);
    throw error;
  }
}

export async function listVersions(context: CommandContext, named: string, { json }: JsonOption): Promise<ExitCode> {
  const api = await context.connect();
  const versions = await api.skillVersions((await findSkill(api, named)).id);
  if (json === true) writeJson(context.output, { data: versions });
  else {
    const rows = versions.map((version) => [
      version.id,
      version.created_at.replace("T", " ").slice(0, 16),
      String(version.x_exoloop.files),
      escapeToLine(version.description).slice(0, 60),
    ]);
    for (const line of tableLines(["ID", "CREATED (UTC)", "FILES", "DESCRIPTION"], rows, context)) {
      writeLine(context.output, line);
    }
  }
  return exitCodes.ok;
}

export async function exportSkill(
  context: CommandContext,
  named: string,
  file: string | undefined,
  { skillVersion = latest }: ExportOptions,
): Promise<ExitCode> {
  const api = await context.connect();
  const { id, x_exoloop } = await findSkill(api, named);
  const bytes = await api.downloadSkill(id, skillVersion);
  const target = file ?? `${x_exoloop.name}.zip`;
  await writingTo(target, () => writeFile(target, bytes, { flag: "wx" }));
  writeLine(context.progress, `Wrote ${bytes.length} bytes to ${escapeToLine(target)}.`);
  return exitCodes.ok;
}

export async function deleteSkill(context: CommandContext, named: string, options: DeleteOptions): Promise<ExitCode> {
  const api = await context.connect();
  const { id, x_exoloop } = await findSkill(api, named);
  const name = escapeToLine(x_exoloop.name);
  const { skillVersion: version } = options;
  if (version !== undefined) {
    await api.deleteSkillVersion(id, version);
    if (options.json === true) writeJson(context.output, { id, version, deleted: true });
    else writeLine(context.progress, `Deleted the version ${escapeToLine(version)} of ${name}.`);
    return exitCodes.ok;
  }
  // The oldest first: what sessions see changes once, at the end.
  for (const { id: old } of [...(await api.skillVersions(id))].reverse()) await api.deleteSkillVersion(id, old);
  await api.deleteSkill(id);
  if (options.json === true) writeJson(context.output, { id, deleted: true });
  else writeLine(context.progress, `Deleted ${name}.`);
  return exitCodes.ok;
}

/** By id, else by name. */
async function findSkill(api: Api, wanted: string): Promise<Skill> {
  const skills = await api.skills();
  const found = skills.find(({ id }) => id === wanted) ?? skills.find(({ x_exoloop }) => x_exoloop.name === wanted);
  if (found !== undefined) return found;
  throw new CommandError(`No skill has the id or name ${escapeToLine(wanted)}.`, exitCodes.notFound);
}
