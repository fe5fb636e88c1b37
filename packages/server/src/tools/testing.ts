/** Parts of a tool's context, for tests. @module */
import { createRouter, type MountedStore, type RoutedFiles } from "../files/router.ts";
import type { BackgroundCommands } from "./tool.ts";

const nothing = () => Promise.reject(new Error("no command runs here"));

export const noBackground: BackgroundCommands = { start: nothing, list: nothing, read: nothing, kill: nothing };

/** One store for every path. */
export function filesOf(store: MountedStore): RoutedFiles {
  return createRouter([{ prefix: "/", store, access: "read_write" }]);
}
