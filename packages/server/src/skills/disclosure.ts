/**
 * What the model is told of the skills that a session has: name, description and place of each, so that it can decide
 * which to read; the rest it reads itself. Pure.
 * @module
 */
import type { SessionSkill } from "../files/session-skills.ts";
import { manifestName } from "./format/skill-files.ts";

/** Where skills are, unless a worker keeps them. */
const skillsRoot = "/skills";
/** Characters of the whole list: some 5,000 tokens. */
export const listingBudget = 20_000;
/** Characters of one description, where all of them in full do not fit. */
const shortDescription = 200;
/** Characters of what has changed. */
const noteBudget = 6_000;

/**
 * Null for none. In the order of their names, so that the same skills are the same text.
 * @param root The directory that holds them, as the model sees it.
 * @example describeSkills([{ name: "review", directory: "/skills/review", description: "Reviews code.", … }])
 */
export function describeSkills(skills: readonly SessionSkill[], root: string = skillsRoot): string | null {
  if (skills.length === 0) return null;
  const full = skills.map((skill) => line(skill, Number.MAX_SAFE_INTEGER, root));
  const lines = lengthOf(full) <= listingBudget ? full : skills.map((skill) => line(skill, shortDescription, root));
  const shown = fitting(lines, listingBudget);
  const rest = skills.length - shown.length;
  const more =
    rest === 0
      ? []
      : [
          `And ${rest} more: list them with glob, pattern "*/${manifestName}" in ${root}, or search for "^description:.*<word>" with grep in ${root}.`,
        ];
  return [
    "<skills>",
    "These skills are there. When one fits the task, read its file before you begin, and follow it; paths in it count from its directory, and its scripts run in the sandbox.",
    ...shown,
    ...more,
    "</skills>",
  ].join("\n");
}

/**
 * What is different since the model was last told; null for nothing.
 * @param before As it was told.
 */
export function describeChanges(
  before: readonly SessionSkill[],
  now: readonly SessionSkill[],
  root: string = skillsRoot,
): string | null {
  const known = new Map(before.map((skill) => [skill.name, skill]));
  const names = new Set(now.map(({ name }) => name));
  const lines = [
    ...before.filter(({ name }) => !names.has(name)).map(({ name }) => `gone: ${name}`),
    ...now.flatMap((skill) => {
      const old = known.get(skill.name);
      if (old === undefined) return [`new: ${line(skill, shortDescription, root).slice(2)}`];
      return old.version === skill.version ? [] : [`changed: ${line(skill, shortDescription, root).slice(2)}`];
    }),
  ];
  if (lines.length === 0) return null;
  const shown = fitting(lines, noteBudget);
  const rest = lines.length - shown.length;
  const more = rest === 0 ? [] : [`And ${rest} more changes: look at ${root}.`];
  return [
    "<skills_update>",
    "The skills are not those that you were told of any more. What you have read of a changed one is out of date: read it again before you follow it.",
    ...shown,
    ...more,
    "</skills_update>",
  ].join("\n");
}

function line({ name, description }: SessionSkill, longest: number, root: string): string {
  return `- ${name} (${root}/${name}/${manifestName}): ${plain(description, longest)}`;
}

/** In one line, without what could end the list or open another element. */
function plain(text: string, longest: number): string {
  const single = text
    .replaceAll(/[\s\p{Cc}\p{Zl}\p{Zp}]+/gu, " ")
    .replaceAll(/\p{Cf}/gu, "")
    .trim();
  const cut = Array.from(single);
  const short = cut.length > longest ? `${cut.slice(0, longest).join("")}…` : single;
  return short.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function lengthOf(lines: readonly string[]): number {
  return lines.reduce((sum, text) => sum + text.length + 1, 0);
}

/** As many from the beginning as fit. */
function fitting(lines: readonly string[], budget: number): readonly string[] {
  let left = budget;
  const end = lines.findIndex((text) => (left -= text.length + 1) < 0);
  return end === -1 ? lines : lines.slice(0, end);
}
