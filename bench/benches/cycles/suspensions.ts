/** Write, suspend, resume, verify: nothing in a sandbox may change by sleeping. @module */
import type { Sandbox } from "@exoloop/sandbox/contract";

export interface SuspensionFigures {
  readonly cycles: number;
  readonly files: number;
  /** Missing or different after a resume. */
  readonly lost: number;
  /** Cycles in which something inside went on while it was suspended. */
  readonly moved: number;
}

const filesPerCycle = 3;
/** Verified after each resume; at the end all are. */
const recent = 60;

/** Files of up to 64 KiB, their checksums written by the sandbox itself beside them. */
const write = [
  "mkdir -p d$((CYCLE % 50))",
  "for i in 1 2 3; do f=d$((CYCLE % 50))/$CYCLE-$i",
  "head -c $(( (CYCLE * 7919 * i) % 65536 + 1 )) /dev/urandom > $f",
  "sha256sum $f >> sums; done",
].join("; ");
const verify = `tail -n ${recent} sums | sha256sum --check --quiet 2>&1 | grep -c FAILED`;
const verifyAll = "sha256sum --check --quiet sums 2>&1 | grep -c FAILED; wc -l < sums";
/** Counts as fast as it can, which is what must stop. */
const counter = "n=0; while :; do n=$((n+1)); echo $n > /tmp/counter.new; mv /tmp/counter.new /tmp/counter; done";

async function run(sandbox: Sandbox, command: string, environment: Record<string, string> = {}): Promise<string> {
  const { exit, stdout, stderr } = await sandbox.session.run({ command, environment });
  if (exit.type !== "exited") throw new Error(`${command} ended with ${JSON.stringify(exit)}: ${stderr}`);
  return stdout.trim();
}

const readCounter = async (sandbox: Sandbox): Promise<string> => {
  const bytes = await sandbox.session.readBinaryFile({ path: "/tmp/counter" });
  return bytes === null ? "" : Buffer.from(bytes).toString().trim();
};

export async function measureSuspensions(
  sandbox: Sandbox,
  cycles: number,
  progress: (text: string) => void,
): Promise<SuspensionFigures> {
  let lost = 0;
  let moved = 0;
  await sandbox.resume();
  const counting = await sandbox.session.spawn({ command: counter });
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    await run(sandbox, write, { CYCLE: String(cycle) });
    await sandbox.suspend();
    const before = await readCounter(sandbox);
    await new Promise((resolve) => setTimeout(resolve, 1 + (cycle % 7)));
    if ((await readCounter(sandbox)) !== before) moved += 1;
    await sandbox.resume();
    lost += Number(await run(sandbox, verify));
    if (cycle % 100 === 99) progress(`${cycle + 1} suspensions: ${lost} files lost, ${moved} times not still`);
  }
  await counting.kill();
  const [wrong = "", listed = ""] = (await run(sandbox, verifyAll)).split("\n");
  const files = cycles * filesPerCycle;
  return { cycles, files, lost: lost + Number(wrong) + (files - Number(listed)), moved };
}
