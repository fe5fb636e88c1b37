/** What every target does, as a test asks it: the same questions for all kinds of sandbox. @module */
import { expect } from "vitest";
import { encodeText } from "../../text.ts";
import type { CopyChange, ProjectionTarget } from "../target.ts";

const text = (bytes: Uint8Array | null | undefined) => (bytes == null ? null : Buffer.from(bytes).toString());
const file = (path: string, content: string, mode = 0o644): CopyChange => ({
  type: "file",
  path,
  bytes: encodeText(content),
  mode,
});
const odd = '/memory/org/it\'s "odd" \\n $(x) ;*.md';
const far = `/memory/org/${"d".repeat(120)}/${"n".repeat(120)}.md`;

async function tell(target: ProjectionTarget): Promise<string[]> {
  const entries = await target.list();
  return entries
    .map(({ path, kind, mode, size, linkTarget }) =>
      kind === "file"
        ? `${path} ${size} ${(mode & 0o777).toString(8)}`
        : `${path} ${kind}${linkTarget === null ? "" : ` ${linkTarget}`}`,
    )
    .sort();
}

/** @param change Runs a command of the workload. */
export async function expectTargetBehaviour(
  target: ProjectionTarget,
  change: (command: string) => Promise<unknown>,
): Promise<void> {
  expect(await tell(target)).toEqual([]);
  const laid = await target.pull([
    { type: "directory", path: "/memory/org/empty" },
    { type: "link", path: "/memory/.default", target: "org" },
    file("/memory/org/a.md", "a\n"),
    file("/skills/x/run.sh", "#!/bin/sh\n", 0o555),
    file(odd, "odd\n"),
    file(far, "far\n"),
    file("/memory/org/none.md", ""),
  ]);
  const expected = [
    "/memory/.default symlink org",
    "/memory/org directory",
    "/memory/org/a.md 2 644",
    `/memory/org/${"d".repeat(120)} directory`,
    "/memory/org/empty directory",
    "/memory/org/none.md 0 644",
    `${far} 4 644`,
    `${odd} 4 644`,
    "/skills/x directory",
    "/skills/x/run.sh 10 555",
  ].sort();
  expect(await tell(target)).toEqual(expected);
  await expectNamed(target, laid);
  await expectChanges(target, change);
}

async function expectNamed(target: ProjectionTarget, laid: ReadonlyMap<string, string>): Promise<void> {
  const asked = ["/memory/org/a.md", "/memory/org/absent.md", odd, "/memory/org/a.md/below"];
  const named = await target.list(asked);
  expect(named.map(({ path }) => path).sort()).toEqual(["/memory/org/a.md", odd].sort());
  expect(laid.has("/memory/org/a.md")).toBe(true);
  const fetched = await target.fetch([odd, "/memory/org/absent.md", far, "/memory/org/none.md", "/memory/org"], 100);
  expect(fetched.map(({ bytes }) => text(bytes))).toEqual(["odd\n", null, "far\n", "", null]);
  expect((await target.fetch(["/memory/org/a.md"], 1))[0]?.bytes).toBeNull();
  const listed = new Map((await target.list()).map(({ path, fingerprint }) => [path, fingerprint]));
  const [again] = await target.fetch(["/memory/org/a.md"], 100);
  expect(again?.fingerprint).toBe(listed.get("/memory/org/a.md"));
}

async function expectChanges(target: ProjectionTarget, change: (command: string) => Promise<unknown>): Promise<void> {
  const [before, whole] = [await target.list(["/memory/org/a.md"]), await target.fingerprint()];
  await change("printf 'b\\n' > /memory/org/a.md");
  expect((await target.list(["/memory/org/a.md"]))[0]?.fingerprint).not.toBe(before[0]?.fingerprint);
  expect(await target.fingerprint()).not.toBe(whole);
  // A file takes the place of a directory, and one goes whatever is in it.
  await target.pull([
    { type: "remove", path: "/memory/org/empty" },
    { type: "remove", path: "/skills/x" },
    { type: "remove", path: "/memory/org/never.md" },
    file("/memory/org/empty", "now a file\n"),
  ]);
  const left = await tell(target);
  expect(left).toContain("/memory/org/empty 11 644");
  expect(left.filter((line) => line.startsWith("/skills"))).toEqual([]);
}
