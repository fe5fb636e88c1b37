/** The grammar of `exoloop files`. @module */
import { Argument, type Command, InvalidArgumentError } from "commander";
import type { MomentOptions, WriteOptions } from "./commands/files.ts";
import type { DiffOptions, HistoryOptions, RestoreOptions, UndoOptions } from "./commands/file-history.ts";
import type { TreeOptions } from "./commands/file-trees.ts";
import type { Grammar } from "./deployment-grammar.ts";

interface JsonOption {
  readonly json?: boolean;
}

type Added = Pick<Grammar, "context" | "finish" | "json" | "readLimit"> & { readonly files: Command };

const loadFiles = () => import("./commands/files.ts");
const loadHistory = () => import("./commands/file-history.ts");
const loadTrees = () => import("./commands/file-trees.ts");

function readNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("A version or a revision is a whole number, as `exoloop files history` shows it.");
}

function readInstant(text: string): Date {
  const instant = new Date(text);
  if (!Number.isNaN(instant.getTime())) return instant;
  throw new InvalidArgumentError("An instant looks like 2030-01-31T08:00:00Z.");
}

const place = "/memory/org/…, /memory/me/…, /memory/<store>/… or /skills/…";

export function addFiles({ program, ...grammar }: Grammar): void {
  const files = program
    .command("files")
    .description("what agents remember and what they can do: files below /memory and /skills, with their history")
    .addHelpText(
      "after",
      "\nEvery change is a version that stays. `exoloop files undo <session>` takes back all that a session did.",
    );
  const added = { ...grammar, files };
  addReading(added);
  addWriting(added);
  addHistory(added);
  addConflicts(added);
  addTrees(added);
}

/** One of three ways to name a state in the past. */
function withMoment(command: Command): Command {
  return command
    .option("--version <number>", "as this version of the file", readNumber)
    .option("--revision <number>", "as at this revision of its mount", readNumber)
    .option("--at <instant>", "as at this time, such as 2030-01-31T08:00:00Z", readInstant);
}

function addReading({ files, context, finish, json, readLimit }: Added): void {
  files
    .command("ls")
    .description("list a directory, or show a file's line")
    .argument("[path]", place, "/")
    .addOption(json())
    .action(async (path: string, options: JsonOption) =>
      finish(await (await loadFiles()).listFiles(context, path, options)),
    );
  withMoment(files.command("cat").description("print a file, as it is or as it was"))
    .argument("<path>", place)
    .action(async (path: string, options: MomentOptions) =>
      finish(await (await loadFiles()).printFile(context, path, options)),
    );
  files
    .command("find")
    .description("find files by their paths, newest first")
    .argument("<path>", "where to look")
    .argument("<glob>", "such as '**/*.md', relative to the path")
    .option("--limit <number>", "how many", readLimit, 100)
    .addOption(json())
    .action(async (path: string, glob: string, options: JsonOption & { readonly limit: number }) =>
      finish(await (await loadFiles()).findStored(context, path, glob, options)),
    );
  files
    .command("grep")
    .description("search the text of files")
    .argument("<pattern>", "a regular expression, as ripgrep takes it")
    .argument("[path]", "where to look", "/")
    .option("-i, --ignore-case", "small and capital letters are the same")
    .option("--glob <glob>", "only files whose name matches")
    .option("--limit <number>", "how many lines", readLimit, 100)
    .addOption(json())
    .action(
      async (
        pattern: string,
        path: string,
        options: JsonOption & { readonly glob?: string; readonly ignoreCase?: boolean; readonly limit: number },
      ) => finish(await (await loadFiles()).searchStored(context, pattern, path, options)),
    );
}

function addWriting({ files, context, finish, json }: Added): void {
  files
    .command("write")
    .description("write a file, from standard input or a local file")
    .argument("<path>", place)
    .option("--from <file>", "the local file")
    .option("--expect <version>", "only if this is the version that is there; 0: only if none is", readNumber)
    .option("--executable", "commands may run it")
    .addOption(json())
    .action(async (path: string, options: WriteOptions) =>
      finish(await (await loadFiles()).writeFileTo(context, path, options)),
    );
  files
    .command("edit")
    .description("edit a file with $VISUAL or $EDITOR; nobody's change in between is lost")
    .argument("<path>", place)
    .addOption(json())
    .action(async (path: string, options: JsonOption) =>
      finish(await (await loadFiles()).editFile(context, path, options)),
    );
  files
    .command("rm")
    .description("delete a file; its history stays")
    .argument("<path>", place)
    .option("-r, --recursive", "a directory with everything below it")
    .addOption(json())
    .action(async (path: string, options: JsonOption & { readonly recursive?: boolean }) =>
      finish(await (await loadFiles()).removeFile(context, path, options)),
    );
  files
    .command("mv")
    .description("rename a file or a directory within one mount")
    .argument("<from>")
    .argument("<to>")
    .addOption(json())
    .action(async (from: string, to: string, options: JsonOption) =>
      finish(await (await loadFiles()).moveFile(context, from, to, options)),
    );
  files
    .command("mkdir")
    .description("make a directory, with its parents")
    .argument("<path>", place)
    .addOption(json())
    .action(async (path: string, options: JsonOption) =>
      finish(await (await loadFiles()).makeDirectory(context, path, options)),
    );
}

function addHistory({ files, context, finish, json, readLimit }: Added): void {
  files
    .command("history")
    .description("list versions, newest first: who changed what, when and how")
    .argument("[path]", "a file, or a directory with everything below it")
    .option("--session <session>", "only what this session did")
    .option("--limit <number>", "how many", readLimit, 50)
    .addOption(json())
    .action(async (path: string | undefined, options: HistoryOptions) =>
      finish(await (await loadHistory()).showHistory(context, path, options)),
    );
  files
    .command("diff")
    .description("compare two versions of a file; without options the last change")
    .argument("<path>", place)
    .option("--from <version>", "0 is nothing", readNumber)
    .option("--to <version>", "the present one unless given", readNumber)
    .addOption(json())
    .action(async (path: string, options: DiffOptions) =>
      finish(await (await loadHistory()).showDifference(context, path, options)),
    );
  withMoment(files.command("restore").description("put a file or a directory back as it was, as a new version"))
    .argument("<path>", place)
    .option("--dry-run", "only show what would be done")
    .addOption(json())
    .action(async (path: string, options: RestoreOptions) =>
      finish(await (await loadHistory()).restoreFiles(context, path, options)),
    );
  files
    .command("undo")
    .description("take back everything that one session did; what others have changed since is merged or kept")
    .argument("<session>")
    .option("--call <tool use>", "only what this call did")
    .option("--dry-run", "only show what would be done")
    .addOption(json())
    .action(async (session: string, options: UndoOptions) =>
      finish(await (await loadHistory()).undoSession(context, session, options)),
    );
  files
    .command("vouch")
    .description("stand for a file that an untrusted session wrote: sessions that read it stay trusted")
    .argument("<path>", place)
    .option("--version <number>", "the one that you have read; the present one unless given", readNumber)
    .addOption(json())
    .action(async (path: string, options: JsonOption & { readonly version?: number }) =>
      finish(await (await loadHistory()).vouchForFile(context, path, options)),
    );
  files
    .command("redact")
    .description("remove the content of an old version for good; that it was there stays on record")
    .argument("<version id>", "memver_…, as `exoloop files history` shows it")
    .addOption(json())
    .action(async (id: string, options: JsonOption) =>
      finish(await (await loadHistory()).redactVersion(context, id, options)),
    );
}

function addConflicts({ files, context, finish, json, readLimit }: Added): void {
  files
    .command("conflicts")
    .description("list texts that lost a race: they were kept, and wait for someone to look")
    .option("--limit <number>", "how many", readLimit, 50)
    .option("--resolved", "those that were dealt with")
    .addOption(json())
    .action(async (options: JsonOption & { readonly limit: number; readonly resolved?: boolean }) =>
      finish(await (await loadHistory()).listConflicts(context, options)),
    );
  files
    .command("conflict")
    .description("print a text that lost a race")
    .argument("<conflict>")
    .option("--output <file>", "write it to a new file instead")
    .action(async (id: string, options: { readonly output?: string }) =>
      finish(await (await loadHistory()).showConflict(context, id, options)),
    );
  files
    .command("resolve")
    .description("decide a conflict")
    .argument("<conflict>")
    .addArgument(
      new Argument("<keep>", "`head`: what is there stays; `kept`: the text that lost becomes the new version").choices(
        ["head", "kept"],
      ),
    )
    .addOption(json())
    .action(async (id: string, keep: "head" | "kept", options: JsonOption) =>
      finish(await (await loadHistory()).resolveConflict(context, id, keep, options)),
    );
}

function addTrees({ files, context, finish, json }: Added): void {
  files
    .command("push")
    .description("bring a local folder's changes into the store; what others changed since is never overwritten")
    .argument("<folder>")
    .argument("<path>", place)
    .option("--delete", "also delete what was deleted in the folder")
    .option("--dry-run", "only show what would be done")
    .addOption(json())
    .action(async (folder: string, path: string, options: TreeOptions) =>
      finish(await (await loadTrees()).pushTree(context, folder, path, options)),
    );
  files
    .command("pull")
    .description("bring the store's changes into a local folder")
    .argument("<path>", place)
    .argument("<folder>")
    .option("--force", "overwrite what was changed in the folder")
    .option("--dry-run", "only show what would be done")
    .addOption(json())
    .action(async (path: string, folder: string, options: TreeOptions) =>
      finish(await (await loadTrees()).pullTree(context, path, folder, options)),
    );
  files
    .command("export")
    .description("write everything below a path as a tar archive")
    .argument("<path>", place)
    .option("--output <file>", "to a new file instead of standard output")
    .action(async (path: string, options: { readonly output?: string }) =>
      finish(await (await loadTrees()).exportTree(context, path, options)),
    );
}
