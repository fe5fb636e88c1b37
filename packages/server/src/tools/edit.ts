/** Replaces text in a file. @module */
import { z } from "zod";
import { defineTool, errorResult, textResult } from "./registry.ts";

const schema = z.strictObject({
  file_path: z.string().describe("Absolute, or relative to /workspace."),
  old_string: z
    .string()
    .describe("The text to replace, exactly as it is in the file; unique unless replace_all is set."),
  new_string: z.string().describe("What takes its place."),
  replace_all: z.boolean().describe("Replace every occurrence.").optional(),
});

/** Never repeated by itself: the first run may have left text that matches again. */
export const editTool = defineTool({
  name: "edit",
  otherNames: ["Edit", "edit_file"],
  description:
    "Replaces one exact piece of text in a file, or every occurrence with replace_all. Line numbers as read shows them are no part of the text. Nothing changes when the text is missing or not unique.",
  schema,
  aliases: { path: "file_path", old_str: "old_string", new_str: "new_string" },
  replay: "never",
  parallel: false,
  uses: ({ file_path }) => [["file.write", file_path]],
  async run({ file_path, old_string, new_string, replace_all = false }, { files, actor }) {
    if (old_string === "") return errorResult("edit: old_string is empty. Use write to make a file.");
    if (old_string === new_string)
      return errorResult("edit: No changes to make: old_string and new_string are exactly the same.");
    const path = files.resolve(file_path);
    const change = { oldText: old_string, newText: new_string, all: replace_all };
    const { replacements, version } = await files.edit(path, change, actor);
    const all = replace_all ? ` All occurrences were successfully replaced (${replacements}).` : "";
    return textResult(`The file ${path} has been updated successfully.${all}${describeVersion(version)}`);
  },
});

/** Empty where the store has no versions. */
export function describeVersion(version: string | null): string {
  return version === null ? "" : ` (version ${version})`;
}
