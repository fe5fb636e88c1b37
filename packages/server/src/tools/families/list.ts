/** The tool `ls`, as agents of the deepagents family have it: what lies directly in a directory. @module */
import { z } from "zod";
import { workspaceDirectory } from "../../files/path.ts";
import { defineTool, textResult } from "../registry.ts";

const mostEntries = 1_000;

const schema = z.strictObject({
  path: z.string().describe("The directory; /workspace unless given.").optional(),
});

export const listTool = defineTool({
  name: "ls",
  otherNames: ["LS", "list_files", "list_directory"],
  description: `Lists what lies directly in a directory, by name, at most ${mostEntries} entries; directories end with a slash.`,
  schema,
  aliases: { directory: "path", dir_path: "path" },
  replay: "safe",
  parallel: true,
  uses: ({ path = workspaceDirectory }) => [["file.read", path]],
  async run({ path = workspaceDirectory }, { files }) {
    const entries = await files.list(files.resolve(path), mostEntries + 1);
    if (entries.length === 0) return textResult("No files found");
    const shown = entries
      .slice(0, mostEntries)
      .map((entry) => (entry.kind === "directory" ? `${entry.path}/` : entry.path));
    if (entries.length > mostEntries)
      shown.push("(Results are truncated. Consider using a more specific path or pattern.)");
    return textResult(shown.join("\n"));
  },
});
