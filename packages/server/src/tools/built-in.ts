/**
 * The tools that every agent may have, in the order in which a model sees them; those of other families last, which are
 * shown only to agents that name them (policy/tool-families.ts).
 * @module
 */
import { bashOutputTool, killBashTool } from "./background.ts";
import { bashTool } from "./bash.ts";
import { editTool } from "./edit.ts";
import { applyPatchTool } from "./families/apply-patch.ts";
import { listTool } from "./families/list.ts";
import { memoryTool } from "./families/memory.ts";
import { textEditorTool } from "./families/text-editor.ts";
import { globTool } from "./glob.ts";
import { grepTool } from "./grep.ts";
import { promoteMemoryTool } from "./promote-memory.ts";
import { readTool } from "./read.ts";
import type { Tool } from "./tool.ts";
import { writeTool } from "./write.ts";

export const builtInTools: readonly Tool[] = [
  bashTool,
  bashOutputTool,
  killBashTool,
  readTool,
  writeTool,
  editTool,
  globTool,
  grepTool,
  memoryTool,
  textEditorTool,
  applyPatchTool,
  listTool,
  promoteMemoryTool,
];
