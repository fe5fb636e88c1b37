/**
 * The lockfile check: every dependency is pinned to one version, and the lockfile names no registry, so that it works
 * with any.
 *
 *   node scripts/lockfile.ts
 * @module
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Finding, report } from "./finding.ts";

const root = join(import.meta.dirname, "..");
const fields = ["dependencies", "devDependencies", "optionalDependencies"];

function readObject(path: string): Record<string, unknown> {
  const value: unknown = JSON.parse(readFileSync(join(root, path), "utf8"));
  return toObject(value);
}

function toObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function findUnpinned(path: string): Finding[] {
  const description = readObject(path);
  return fields
    .flatMap((field) => Object.entries(toObject(description[field])))
    .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(String(version)))
    .map(([name, version]) => ({
      rule: "pinned",
      where: path,
      what: `${name} is "${String(version)}"`,
      why: "What was tested is what runs: a range installs something else tomorrow.",
      fix: "Name one version: npm install --save-exact",
    }));
}

function findAddresses(): Finding[] {
  const packages = Object.entries(toObject(readObject("package-lock.json")["packages"]));
  return packages.flatMap(([name, entry]) => {
    const { resolved, link } = toObject(entry);
    if (typeof resolved !== "string" || link === true) return [];
    return [
      {
        rule: "no-registry",
        where: "package-lock.json",
        what: `${name} is fetched from ${resolved}`,
        why: "Another registry must do as well; the checksum says whether it is the same package.",
        fix: "Keep omit-lockfile-registry-resolved in .npmrc, remove package-lock.json, and run npm install --package-lock-only",
      },
    ];
  });
}

const descriptions = ["package.json", ...globSync("packages/*/package.json", { cwd: root })];
report([...descriptions.flatMap(findUnpinned), ...findAddresses()], `${descriptions.length} packages`);
