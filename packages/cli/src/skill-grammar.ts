/** The grammar of `exoloop skills`. @module */
import type { Command } from "commander";
import type { DeleteOptions, ExportOptions, ImportOptions } from "./commands/skills.ts";
import type { Grammar } from "./deployment-grammar.ts";

interface JsonOption {
  readonly json?: boolean;
}

const load = () => import("./commands/skills.ts");

export function addSkills({ program, context, finish, json }: Grammar): void {
  const skills = program
    .command("skills")
    .description("what agents know how to do: directories below /skills, each with a SKILL.md");
  skills
    .command("list")
    .description("list skills by name")
    .addOption(json())
    .action(async (options: JsonOption) => finish(await (await load()).listSkills(context, options)));
  fromSource(skills, "import", "store a skill, or a new version of it, from a folder, a zip or a git repository")
    .addOption(json())
    .action(async (source: string, options: ImportOptions) =>
      finish(await (await load()).importSkill(context, source, options)),
    );
  fromSource(skills, "validate", "say what is wrong with a skill, without a server")
    .addOption(json())
    .action(async (source: string, options: ImportOptions) =>
      finish(await (await load()).validateSkill(context, source, options)),
    );
  named(skills, "versions", "list a skill's versions, newest first")
    .addOption(json())
    .action(async (skill: string, options: JsonOption) =>
      finish(await (await load()).listVersions(context, skill, options)),
    );
  named(skills, "export", "write a version of a skill into a zip")
    .argument("[file]", "the skill's name with .zip unless given")
    .option("--skill-version <version>", "its id; the latest unless given")
    .action(async (skill: string, file: string | undefined, options: ExportOptions) =>
      finish(await (await load()).exportSkill(context, skill, file, options)),
    );
  named(skills, "delete", "delete a skill with all its versions")
    .option("--skill-version <version>", "only this one: where it is the latest, the one before becomes it")
    .addOption(json())
    .action(async (skill: string, options: DeleteOptions) =>
      finish(await (await load()).deleteSkill(context, skill, options)),
    );
}

function named(skills: Command, verb: string, description: string): Command {
  return skills.command(verb).description(description).argument("<skill>", "its name or id");
}

function fromSource(skills: Command, verb: string, description: string): Command {
  return skills
    .command(verb)
    .description(description)
    .argument("<source>", "a folder, a zip, or the address of a git repository: https, ssh or file")
    .option("--subdirectory <path>", "where the skill is in the repository")
    .option("--reference <name>", "branch or tag of the repository");
}
