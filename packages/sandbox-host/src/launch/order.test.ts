/** What a waiting process is told to become: all of it, or nothing. */
import { spawn } from "node:child_process";
import { expect, it } from "vitest";
import { buildGuest } from "../guest-build.ts";

const { confine } = buildGuest();

/** @returns exit code and standard output of what it has become. */
async function give(order: string): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(confine, ["--order", "0"], { env: { OWN: "1" }, stdio: ["pipe", "pipe", "ignore"] });
  const parts: Buffer[] = [];
  child.stdout.on("data", (bytes: Buffer) => parts.push(bytes));
  // It may refuse before it has read all.
  child.stdin.on("error", () => {});
  child.stdin.end(order);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, output: Buffer.concat(parts).toString() };
}

function encode(programArguments: readonly string[], variables: readonly string[]): string {
  const text = [String(programArguments.length), ...programArguments, ...variables, ""].join("\0");
  return `${Buffer.byteLength(text)}\0${text}`;
}

const script =
  'echo "$#[$1][$2]"; env | grep -v ^PWD= | grep -v ^_= | grep -v ^SHLVL= | sort; readlink /proc/self/fd/0';
const order = encode(["/bin/sh", "-c", script, "sh", "", "ü b"], ["EMPTY=", "PATH=/usr/bin:/bin"]);

it("has its arguments and its environment, empty ones too, and nothing of ours", async () => {
  const output = "2[][ü b]\nEMPTY=\nPATH=/usr/bin:/bin\n/dev/null\n";
  expect(await give(order)).toEqual({ code: 0, output });
  expect(await give(encode(["/bin/echo"], []))).toEqual({ code: 0, output: "\n" });
});

it("is nothing when the order ends early, or says something else than it is", async () => {
  expect(await give("")).toEqual({ code: 0, output: "" });
  for (const end of [1, 3, 20, order.indexOf("EMPTY"), order.length - 1])
    expect(await give(order.slice(0, end)), `cut at ${end}`).toEqual({ code: 1, output: "" });
  for (const wrong of [`${order}x\0`, encode([], []), "9\x002\0/bin/ls\0", "x".repeat(300_000)])
    expect(await give(wrong), wrong.slice(0, 20)).toEqual({ code: 1, output: "" });
});
