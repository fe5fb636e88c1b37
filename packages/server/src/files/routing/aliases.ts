/**
 * Names that models know for places that have another name here. They are followed before anything else happens: a file
 * has one name in every answer, in policy and in history.
 *
 * | alias             | place                                                                              |
 * |-------------------|------------------------------------------------------------------------------------|
 * | `/mnt/memory/<x>` | `/memory/<x>`: where the Managed Agents API mounts memory stores                    |
 * | `/memories`       | the session's default memory: where the tool `memory_20250818` keeps its files     |
 * @module
 */
import { isWithin } from "../path.ts";

const memoryRoot = "/memory";
/**
 * @param memory Prefix of the session's default memory.
 * @example followAliases("/memory/me", "/memories/a.md") // "/memory/me/a.md"
 */
export function followAliases(memory: string, path: string): string {
  for (const [alias, place] of [
    ["/memories", memory],
    ["/mnt/memory", memoryRoot],
  ] as const) {
    if (isWithin(alias, path)) return `${place}${path.slice(alias.length)}`;
  }
  return path;
}
