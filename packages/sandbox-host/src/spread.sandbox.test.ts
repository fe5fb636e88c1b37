import { execFileSync } from "node:child_process";
import { statfsSync } from "node:fs";
import { expect, test } from "vitest";
import { openTestHost } from "./test-host.ts";

const ext4 = 0xef53;

test("sandboxes are spread over a disk of ext4", async () => {
  const host = await openTestHost();
  try {
    const { sandboxesDirectory } = host.host;
    const marked = execFileSync("sh", ["-c", 'lsattr -d "$0" 2>/dev/null || true', sandboxesDirectory]);
    expect(/^\S*T/.test(marked.toString())).toBe(statfsSync(sandboxesDirectory).type === ext4);
  } finally {
    await host.close();
  }
});
