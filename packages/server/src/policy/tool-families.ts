/**
 * Tools in the shapes of other vendors, for the models that are trained on those. An agent names a family in its toolset
 * (`x_exoloop.families`), and is then shown that family's tools, in place of those that do the same; without it they are
 * not shown. Shown or not, whoever calls one is understood, and may do with it what it may do with the tools that
 * govern it. Pure.
 * @module
 */
import type { ToolFamily } from "@exoloop/protocol/tools";

interface FamilyTools {
  readonly shows: readonly string[];
  /** Built-in tools that are not shown beside them. */
  readonly replaces: readonly string[];
}

const families: Readonly<Record<ToolFamily, FamilyTools>> = {
  memory_20250818: { shows: ["memory"], replaces: [] },
  text_editor_20250728: { shows: ["str_replace_based_edit_tool"], replaces: ["read", "write", "edit"] },
  apply_patch: { shows: ["apply_patch"], replaces: ["write", "edit"] },
  ls: { shows: ["ls"], replaces: [] },
};

/**
 * Built-in tools on whose configuration another tool depends: the public API names only those. Of several the strictest
 * decides.
 */
const governors: ReadonlyMap<string, readonly string[]> = new Map([
  ["bash_output", ["bash"]],
  ["kill_bash", ["bash"]],
  ["promote_memory", ["write"]],
  ["memory", ["read", "write", "edit"]],
  ["str_replace_based_edit_tool", ["read", "write", "edit"]],
  ["apply_patch", ["write", "edit"]],
  ["ls", ["read"]],
]);

const familyTools = new Set(Object.values(families).flatMap((family) => family.shows));

/** @example governorsOf("kill_bash") // ["bash"] */
export function governorsOf(toolName: string): readonly string[] {
  return governors.get(toolName) ?? [toolName];
}

/** Whether an agent with these families is shown the tool, when it has it at all. */
export function isShown(chosen: readonly ToolFamily[], toolName: string): boolean {
  if (familyTools.has(toolName)) return chosen.some((family) => families[family].shows.includes(toolName));
  return !chosen.some((family) => families[family].replaces.includes(toolName));
}

/** Names that a toolset with these families takes. */
export function namesOf(chosen: readonly ToolFamily[]): readonly string[] {
  return chosen.flatMap((family) => families[family].shows);
}
