import { statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { findPrebuilt, hashGuestSources } from "./guest-build.ts";

describe("the prebuilt supervisors", () => {
  it.each(["linux-x64", "linux-arm64"])("for %s were made from these very sources", (platform) => {
    const path = findPrebuilt(platform, hashGuestSources());
    expect(path, "run: node packages/sandbox-host/src/prebuild.ts").not.toBeNull();
    expect(statSync(path ?? "").size).toBeLessThan(1 << 20);
    expect(findPrebuilt(platform, "0".repeat(64))).toBeNull();
  });
});
