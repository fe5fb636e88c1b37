/** Parts of a tool's context, for tests. @module */
import type { BackgroundCommands } from "./tool.ts";

const nothing = () => Promise.reject(new Error("no command runs here"));

export const noBackground: BackgroundCommands = { start: nothing, list: nothing, read: nothing, kill: nothing };
