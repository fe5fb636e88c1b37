import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readFolder } from "./folder.ts";
import { fetchGitSkill, looksLikeGit } from "./git.ts";
import { SkillSourceError, type SkillSource } from "./skill-source.ts";

let place: string;
let repository: string;
const git = (...parameters: string[]) => {
  const environment = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
  const identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
  return execFileSync("git", [...identity, ...parameters], { env: environment, stdio: "pipe" }).toString();
};

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), "exoloop-sources-"));
  const work = join(place, "work");
  repository = join(place, "skills.git");
  await mkdir(join(work, "skills/review/scripts"), { recursive: true });
  await mkdir(join(work, "skills/linked"), { recursive: true });
  await writeFile(join(work, "skills/review/SKILL.md"), "---\nname: review\ndescription: x\n---\n");
  await writeFile(join(work, "skills/review/scripts/run.sh"), "#!/bin/sh\r\n");
  await chmod(join(work, "skills/review/scripts/run.sh"), 0o755);
  await writeFile(join(work, "skills/review/.gitattributes"), "*.sh -text filter=evil ident\n");
  await writeFile(join(work, "skills/review/data.bin"), Buffer.from([0, 255, 10, 13]));
  await writeFile(join(work, "skills/linked/SKILL.md"), "x");
  await symlink("/etc/passwd", join(work, "skills/linked/secret"));
  await symlink("/etc", join(work, "elsewhere"));
  git("init", "--quiet", "--initial-branch=main", work);
  git("-C", work, "add", "--all");
  git("-C", work, "commit", "--quiet", "--message=one");
  git(
    "-C",
    work,
    "update-index",
    "--add",
    "--cacheinfo",
    `160000,${git("-C", work, "rev-parse", "HEAD").trim()},modules/sub`,
  );
  git("-C", work, "commit", "--quiet", "--message=two");
  git("clone", "--quiet", "--bare", work, repository);
  const hook = join(repository, "hooks/post-checkout");
  await mkdir(join(repository, "hooks"), { recursive: true });
  await writeFile(hook, `#!/bin/sh\ntouch ${place}/hook-ran\n`);
  await chmod(hook, 0o755);
});
afterAll(() => rm(place, { recursive: true, force: true }));

const told = (work: Promise<unknown>) =>
  work.then(
    () => "taken",
    (error: unknown) => (error instanceof SkillSourceError ? error.message : String(error)),
  );
const shown = ({ directory, files }: SkillSource) => ({
  directory,
  files: files.map(({ path, bytes, executable }) => [path, Buffer.from(bytes).toString("latin1"), executable]),
});
const review = [
  [".gitattributes", "*.sh -text filter=evil ident\n", false],
  ["SKILL.md", "---\nname: review\ndescription: x\n---\n", false],
  ["data.bin", "\u0000\u00ff\n\r", false],
  ["scripts/run.sh", "#!/bin/sh\r\n", true],
];

describe("a folder", () => {
  it("is a skill by its own name", async () => {
    expect(shown(await readFolder(join(place, "work/skills/review")))).toEqual({ directory: "review", files: review });
  });

  it("is refused with a link in it, or where there is nothing", async () => {
    expect(await told(readFolder(join(place, "work/skills/linked")))).toContain("secret is a symbolic link");
    expect(await told(readFolder(join(place, "none")))).toContain("cannot be read (ENOENT)");
    await mkdir(join(place, "empty/.git"), { recursive: true });
    await writeFile(join(place, "empty/.git/HEAD"), "x");
    expect(await told(readFolder(join(place, "empty")))).toContain("holds no file");
  });
});

describe("a git repository", () => {
  const fetchSkill = (subdirectory?: string, reference?: string) =>
    fetchGitSkill({
      url: `file://${repository}`,
      ...(subdirectory === undefined ? {} : { subdirectory }),
      ...(reference === undefined ? {} : { reference }),
    });

  it("gives a skill byte by byte, and leaves nothing behind", async () => {
    const before = (await readdir(tmpdir())).filter((name) => name.startsWith("exoloop-skill-"));
    expect(shown(await fetchSkill("skills/review"))).toEqual({ directory: "review", files: review });
    expect(shown(await fetchSkill("./skills/review/", "main")).directory).toBe("review");
    const after = (await readdir(tmpdir())).filter((name) => name.startsWith("exoloop-skill-"));
    expect(after.filter((name) => !before.includes(name))).toEqual([]);
    expect(await readdir(place)).not.toContain("hook-ran");
  });

  it.each([
    ["a link in it", "skills/linked", '"secret" in the repository is a symbolic link'],
    ["a submodule in it", "modules", '"sub" in the repository is a submodule'],
    ["a link on the way", "elsewhere/ssl", 'has no directory "elsewhere/ssl"'],
    ["a directory that it has not", "none", 'has no directory "none"'],
    ["a way out", "../x", "must be a path inside the repository"],
    ["an absolute path", "/etc", "must be a path inside the repository"],
  ])("is refused with %s", async (_title, subdirectory, message) => {
    expect(await told(fetchSkill(subdirectory))).toContain(message);
  });

  it.each([
    ["ext::sh -c touch% /tmp/x", "begins with https://"],
    ["--upload-pack=touch /tmp/x", "begins with https://"],
    ["http://example.com/x.git", "begins with https://"],
    ["git://example.com/x.git", "begins with https://"],
    ["/srv/x.git", "begins with https://"],
    ["ssh://-oProxyCommand=x/y", "host or a user that begins with a hyphen"],
    ["-oProxyCommand=x@host:y", "begins with https://"],
    ["https://me:secret@example.com/x.git", "holds a password"],
    ["file:///no/such/repository.git", "cannot be fetched"],
  ])("is refused at the address %s", async (url, message) => {
    const answer = await told(fetchGitSkill({ url }));
    expect(answer).toContain(message);
    expect(answer).not.toContain("secret");
  });

  it("is refused with a branch that it has not, or that is an option", async () => {
    expect(await told(fetchSkill("skills/review", "none"))).toContain(
      "cannot be fetched: Remote branch none not found",
    );
    expect(await told(fetchSkill("skills/review", "--upload-pack=x"))).toContain("characters that no such name has");
  });

  it("is told from a folder", () => {
    const texts = ["https://a/b", "ssh://a/b", "git@example.com:a/b.git", "ext::x", "./a", "a/b", "/a", "a.zip"];
    expect(texts.filter(looksLikeGit)).toEqual(texts.slice(0, 3));
  });
});
