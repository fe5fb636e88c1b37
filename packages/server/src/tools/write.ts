/** Writes a whole file. @module */
import { z } from "zod";
import { encodeText } from "../files/text.ts";
import { describeVersion } from "./edit.ts";
import { defineTool, textResult } from "./registry.ts";

const schema = z.strictObject({
  file_path: z.string().describe("Absolute, or relative to /workspace. Missing directories are made."),
  content: z.string().describe("The whole content of the file."),
});

/** Safe to repeat: the same content under the same path; stored files recognise the call. */
export const writeTool = defineTool({
  name: "write",
  otherNames: ["Write", "write_file", "create_file"],
  description: [
    "Writes a file, new or in place of what was there. For a change of a part, use edit.",
    "Under /memory an existing file must have been read in this session, and not have changed since: otherwise nothing is written and the answer says who changed it.",
  ].join(" "),
  schema,
  aliases: { path: "file_path", file_text: "content" },
  replay: "safe",
  parallel: false,
  uses: ({ file_path }) => [["file.write", file_path]],
  async run({ file_path, content }, { files, actor }) {
    const path = files.resolve(file_path);
    const { created, version } = await files.write(path, encodeText(content), actor);
    const done = created ? `File created successfully at: ${path}` : `The file ${path} has been updated successfully.`;
    return textResult(`${done}${describeVersion(version)}`);
  },
});
