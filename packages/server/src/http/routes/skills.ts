/** /v1/skills @module */
import {
  deletedSkill,
  deletedSkillVersion,
  longestDisplayName,
  skill,
  skillPage,
  skillVersion,
  skillVersionPage,
} from "@exoloop/protocol/skills";
import { z } from "zod";
import { Problem } from "../../errors.ts";
import { mostSkillFiles, type SkillFile } from "../../skills/format/skill-files.ts";
import { type SkillSource, SkillSourceError, unwrap } from "../../skills/intake/skill-source.ts";
import { largestArchive, unzipSkill } from "../../skills/intake/zip.ts";
import type { SkillService } from "../../skills/port.ts";
import type { Upload } from "../multipart.ts";
import { readListQuery, writePage } from "../pages.ts";
import { limit, page } from "../query.ts";
import { addRoute, type RouteContext } from "../route.ts";

const tag = "Skills";
/** Bytes: as much as a skill may have, and the heads of its parts. */
const largestUpload = largestArchive + 1024 * 1024;

export function addSkillRoutes(context: RouteContext, skills: SkillService): void {
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: "/v1/skills",
      summary: "Create a skill from its files, or from one zip",
      tag,
      upload: largestUpload,
      answer: skill,
    },
    async ({ principal, upload }) =>
      skills.create(principal, { source: await readSource(upload), displayName: readDisplayName(upload) }),
  );
  addListRoute(context, skills);
  addRoute(
    context,
    { method: "get", path: "/v1/skills/{skill_id}", summary: "Retrieve a skill", tag, answer: skill },
    ({ principal, parameter }) => skills.get(principal, parameter("skill_id")),
  );
  addRoute(
    context,
    {
      method: "delete",
      admin: true,
      path: "/v1/skills/{skill_id}",
      summary: "Delete a skill that has no versions",
      tag,
      answer: deletedSkill,
    },
    async ({ principal, parameter }) => {
      const id = parameter("skill_id");
      await skills.remove(principal, id);
      return { id, type: "skill_deleted" as const };
    },
  );
  addVersionRoutes(context, skills);
}

function addListRoute(context: RouteContext, skills: SkillService): void {
  addRoute(
    context,
    {
      method: "get",
      path: "/v1/skills",
      summary: "List skills",
      tag,
      query: z.strictObject({
        limit,
        page,
        source: z.enum(["custom", "anthropic", "anthropic_example", "plugin"]).optional(),
      }),
      answer: skillPage,
    },
    async ({ principal, query: { source, ...query } }) => {
      // All that this server has were brought in by its own people.
      if (source !== undefined && source !== "custom") return { data: [], next_page: null };
      const scope = { list: "skills", organizationId: principal.organizationId };
      const listQuery = readListQuery(scope, query);
      const { data, next_page } = writePage(scope, listQuery, await skills.list(principal, listQuery), (row) => row);
      return { data, next_page };
    },
  );
}

const versions = "/v1/skills/{skill_id}/versions";

function addVersionRoutes(context: RouteContext, skills: SkillService): void {
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: versions,
      summary: "Add a version to a skill: the latest from now on",
      tag,
      upload: largestUpload,
      answer: skillVersion,
    },
    async ({ principal, upload, parameter }) =>
      skills.addVersion(principal, parameter("skill_id"), await readSource(upload)),
  );
  addRoute(
    context,
    {
      method: "get",
      path: versions,
      summary: "List a skill's versions, newest first",
      tag,
      query: z.strictObject({ limit, page }),
      answer: skillVersionPage,
    },
    async ({ principal, query, parameter }) => {
      const skillId = parameter("skill_id");
      const scope = { list: `skills/${skillId}/versions`, organizationId: principal.organizationId };
      const listQuery = readListQuery(scope, query);
      const list = await skills.listVersions(principal, skillId, listQuery);
      const { data, next_page } = writePage(scope, listQuery, list, (row) => row);
      return { data, next_page };
    },
  );
  addSingleVersionRoutes(context, skills);
  addDownloadRoute(context, skills);
}

function addSingleVersionRoutes(context: RouteContext, skills: SkillService): void {
  addRoute(
    context,
    {
      method: "get",
      workers: ["session"],
      path: `${versions}/{version}`,
      summary: "Retrieve a version of a skill",
      tag,
      answer: skillVersion,
    },
    ({ principal, parameter }) => skills.getVersion(principal, parameter("skill_id"), parameter("version")),
  );
  addRoute(
    context,
    {
      method: "delete",
      admin: true,
      path: `${versions}/{version}`,
      summary: "Delete a version of a skill: where it was the latest, the one before is",
      tag,
      answer: deletedSkillVersion,
    },
    async ({ principal, parameter }) => {
      const id = await skills.removeVersion(principal, parameter("skill_id"), parameter("version"));
      return { id, type: "skill_version_deleted" as const };
    },
  );
}

function addDownloadRoute(context: RouteContext, skills: SkillService): void {
  addRoute(
    context,
    {
      method: "get",
      workers: ["session"],
      path: `${versions}/{version}/content`,
      summary: "Download a version of a skill as a zip",
      tag,
      answer: skillVersion,
      stream: "application/zip",
    },
    async ({ principal, parameter }) => {
      const { name, bytes } = await skills.download(principal, parameter("skill_id"), parameter("version"));
      return new Response(Buffer.from(bytes), {
        headers: {
          "content-type": "application/zip",
          // A skill's name has small letters, digits and hyphens only.
          "content-disposition": `attachment; filename="${name}.zip"`,
          "x-content-type-options": "nosniff",
        },
      });
    },
  );
}

/** @throws Problem `invalid_request`, `invalid_skill` */
async function readSource({ files, texts }: Upload): Promise<SkillSource> {
  const stranger = [...files.map(({ field }) => field).filter((field) => field !== "files"), ...texts.keys()].find(
    (field) => field !== "display_name",
  );
  if (stranger !== undefined)
    throw new Problem("invalid_request", `${stranger.slice(0, 80)}: not a field of this upload.`, "Send files[].");
  const [first] = files;
  if (first === undefined) throw new Problem("invalid_request", "files: the upload has none.", "Send files[].");
  if (files.length > mostSkillFiles)
    throw new Problem("invalid_skill", `The skill has ${files.length} files; at most ${mostSkillFiles} are taken.`);
  try {
    const zipped = files.length === 1 && /\.zip$/i.test(first.fileName);
    return zipped ? await unzipSkill(first.bytes) : unwrap(files.map(uploadedFile));
  } catch (error) {
    if (error instanceof SkillSourceError) throw new Problem("invalid_skill", `${error.message} Nothing was stored.`);
    throw error;
  }
}

/** An upload says nothing of modes: what begins as a program does is one. */
function uploadedFile({ fileName, bytes }: { readonly fileName: string; readonly bytes: Uint8Array }): SkillFile {
  return { path: fileName, bytes, executable: bytes[0] === 0x23 && bytes[1] === 0x21 };
}

function readDisplayName({ texts }: Upload): string | null {
  const text = texts.get("display_name");
  if (text === undefined || text === "") return null;
  if (text.length <= longestDisplayName && text.isWellFormed() && !/\p{Cc}/u.test(text)) return text;
  throw new Problem(
    "invalid_request",
    `display_name: must be one line of at most ${longestDisplayName} characters.`,
    "Leave it out to show the skill's name.",
  );
}
