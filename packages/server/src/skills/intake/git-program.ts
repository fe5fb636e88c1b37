/**
 * The program `git`: started with a list of arguments, no shell, a clean environment, and settings that leave it nothing
 * to run and nobody to ask.
 * @module
 */
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { SkillSourceError } from "./skill-source.ts";

export interface GitCall {
  /** After the settings. What a stranger has named stands behind `--`. */
  readonly parameters: readonly string[];
  readonly standardInput?: string;
  /** Bytes of standard output that are taken. */
  readonly largestOutput: number;
  readonly signal: AbortSignal;
}

export interface GitResult {
  /** Null when it was stopped. */
  readonly code: number | null;
  readonly output: Buffer;
  /** Its last sentence, fit to be shown. */
  readonly complaint: string;
}

/** What the machine and its user have set does not apply. */
const settings = [
  "protocol.allow=never",
  "protocol.https.allow=always",
  "protocol.ssh.allow=always",
  "protocol.file.allow=always",
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "credential.helper=",
  "submodule.recurse=false",
];

/** Of the environment, only what ssh and a proxy need. */
const passedOn = ["PATH", "HOME", "SSH_AUTH_SOCK", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"];

/** @throws SkillSourceError when there is no such program */
export function runGit({ parameters, standardInput = "", largestOutput, signal }: GitCall): Promise<GitResult> {
  return new Promise((resolve, reject) => {
    const child = spawn("git", [...settings.flatMap((setting) => ["-c", setting]), ...parameters], {
      cwd: tmpdir(),
      env: environment(),
      stdio: ["pipe", "pipe", "pipe"],
      signal,
      killSignal: "SIGKILL",
    });
    const chunks: Buffer[] = [];
    let size = 0;
    let complaint = "";
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= largestOutput) chunks.push(chunk);
      else child.kill("SIGKILL");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      if (complaint.length < 4_096) complaint += chunk.toString();
    });
    child.once("error", (error) => {
      if (signal.aborted) return;
      const absent = "code" in error && error.code === "ENOENT";
      reject(
        absent
          ? new SkillSourceError("The program git is not here: install it, or bring in a folder or a zip.")
          : error,
      );
    });
    child.once("close", (code) => resolve({ code, output: Buffer.concat(chunks), complaint: lastSentence(complaint) }));
    // It may end before it has read all.
    child.stdin.on("error", () => undefined);
    child.stdin.end(standardInput);
  });
}

function environment(): NodeJS.ProcessEnv {
  const given: NodeJS.ProcessEnv = {
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_SSH_COMMAND: "ssh -oBatchMode=yes",
    LC_ALL: "C",
  };
  for (const name of passedOn) if (process.env[name] !== undefined) given[name] = process.env[name];
  return given;
}

/** What git says last, without control characters. */
function lastSentence(text: string): string {
  const lines = text.split(/[\r\n]/).filter((line) => line.trim() !== "");
  const last = lines.findLast((line) => /^(fatal|error):/.test(line)) ?? lines.at(-1) ?? "git has said nothing";
  const plain = last.replace(/^(fatal|error): /, "").replaceAll(/\p{Cc}/gu, "");
  return `${plain.slice(0, 300).replace(/\.$/, "")}.`;
}
