/** Skills and their versions. @module */
import type { Page } from "@exoloop/protocol/pages";
import type { Skill, SkillVersion } from "@exoloop/protocol/skills";
import { readApiError } from "./api-error.ts";
import { segment, type Transport } from "./transport.ts";

/** `name` with its directories, such as `review/SKILL.md`; or one zip, whose name ends in `.zip`. */
export interface SkillUploadFile {
  readonly name: string;
  readonly content: Blob;
}

interface PageParameters {
  readonly limit?: number;
  readonly page?: string;
}

export function skillMethods(transport: Transport) {
  const path = (id: string) => `/v1/skills/${segment(id)}`;
  const version = (id: string, versionId: string) => `${path(id)}/versions/${segment(versionId)}`;
  return {
    create: (files: readonly SkillUploadFile[], options: { readonly displayName?: string } = {}) => {
      const form = formOf(files);
      if (options.displayName !== undefined) form.append("display_name", options.displayName);
      return transport.request<Skill>("POST", "/v1/skills", { form });
    },
    retrieve: (id: string) => transport.request<Skill>("GET", path(id)),
    /** Newest first. */
    list: (parameters: PageParameters = {}) =>
      transport.request<Page<Skill>>("GET", "/v1/skills", { query: { ...parameters } }),
    /** Only one without versions. */
    delete: (id: string) => transport.request<{ id: string; type: "skill_deleted" }>("DELETE", path(id)),
    createVersion: (id: string, files: readonly SkillUploadFile[]) =>
      transport.request<SkillVersion>("POST", `${path(id)}/versions`, { form: formOf(files) }),
    /** `latest` is one of them. */
    retrieveVersion: (id: string, versionId: string) => transport.request<SkillVersion>("GET", version(id, versionId)),
    /** Newest first. */
    versions: (id: string, parameters: PageParameters = {}) =>
      transport.request<Page<SkillVersion>>("GET", `${path(id)}/versions`, { query: { ...parameters } }),
    deleteVersion: (id: string, versionId: string) =>
      transport.request<{ id: string; type: "skill_version_deleted" }>("DELETE", version(id, versionId)),
    /** A zip. */
    async download(id: string, versionId: string): Promise<Uint8Array> {
      const response = await transport.send("GET", `${version(id, versionId)}/content`);
      if (!response.ok) throw await readApiError(response);
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

function formOf(files: readonly SkillUploadFile[]): FormData {
  const form = new FormData();
  for (const { name, content } of files) form.append("files[]", content, name);
  return form;
}
