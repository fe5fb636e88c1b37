/**
 * Makes the prebuilt programs that machines without a compiler use: `node prebuild.ts`, whenever the guest changed.
 * Needs musl-tools for this machine's own architecture and a cross compiler for the other (gcc-aarch64-linux-gnu).
 * @module
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compileGuest, guestPrograms, hashGuestSources } from "./guest-build.ts";

/** musl's compiler sees none of the kernel's headers by itself. */
const kernelHeaders = ["-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu"];
const targets = [
  { platform: "linux-x64", compiler: "musl-gcc", flags: kernelHeaders },
  { platform: "linux-arm64", compiler: "aarch64-linux-gnu-gcc", flags: [] },
];

for (const { platform, compiler, flags } of targets) {
  const directory = join(import.meta.dirname, "../prebuilt", platform);
  mkdirSync(directory, { recursive: true });
  for (const program of guestPrograms) {
    const path = join(directory, program);
    compileGuest(compiler, program, path, ["-static", "-s", ...flags]);
    chmodSync(path, 0o755);
    process.stdout.write(`${path}\n`);
  }
  writeFileSync(join(directory, "source.sha256"), `${hashGuestSources()}\n`);
}
