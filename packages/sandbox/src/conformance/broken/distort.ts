/** Makes a broken provider of a good one: some verbs are replaced, the others stay. @module */
import type { Sandbox, SandboxProvider } from "../../contract.ts";
import type { SandboxProcess, SandboxSession, SpawnOptions } from "../../session.ts";

export interface Distortion {
  readonly provider?: (base: SandboxProvider, hand: (sandbox: Sandbox) => Sandbox) => Partial<SandboxProvider>;
  readonly sandbox?: (base: Sandbox) => Partial<Sandbox>;
  readonly session?: (base: SandboxSession) => Partial<SandboxSession>;
  readonly process?: (base: SandboxProcess, options: SpawnOptions | null) => Partial<SandboxProcess>;
}

async function runWith(
  session: Pick<SandboxSession, "spawn">,
  options: SpawnOptions,
): ReturnType<SandboxSession["run"]> {
  const process = await session.spawn(options);
  const parts = { stdout: "", stderr: "" };
  for await (const { stream, bytes } of process.output) parts[stream] += Buffer.from(bytes).toString();
  return { exit: await process.wait(), ...parts };
}

export function distort(base: SandboxProvider, distortion: Distortion): SandboxProvider {
  const distortProcess = (process: SandboxProcess, options: SpawnOptions | null): SandboxProcess => ({
    ...process,
    ...distortion.process?.(process, options),
  });
  const distortSession = (session: SandboxSession): SandboxSession => {
    const changed = { ...session, ...distortion.session?.(session) };
    const spawn: SandboxSession["spawn"] = async (options) => distortProcess(await changed.spawn(options), options);
    return {
      ...changed,
      spawn,
      run: (options) => runWith({ spawn }, options),
      async attachCommand(options) {
        const process = await changed.attachCommand(options);
        return process === null ? null : distortProcess(process, null);
      },
    };
  };
  const hand = (sandbox: Sandbox): Sandbox => {
    const changed = { ...sandbox, ...distortion.sandbox?.(sandbox) };
    return { ...changed, session: distortSession(changed.session) };
  };
  return {
    id: base.id,
    capabilities: base.capabilities,
    create: async (request) => hand(await base.create(request)),
    attach: async (reference) => hand(await base.attach(reference)),
    list: () => base.list(),
    keepWarm: (request) => base.keepWarm(request),
    close: () => base.close(),
    ...distortion.provider?.(base, hand),
  };
}
