/** Where on the disk sandboxes are. @module */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

/**
 * Far from one another. For every new file ext4 looks at each inode that was freed in the last minutes in the same part
 * of the disk: where sandboxes come and go, a file then costs ten times as much. Below a directory that is marked as the
 * top of hierarchies every directory gets a part of its own.
 */
export async function spreadOverDisk(directory: string): Promise<void> {
  // Another file system, no such program, or somebody else's directory: everything works as before.
  await promisify(execFile)("chattr", ["+T", directory]).catch(() => undefined);
}
