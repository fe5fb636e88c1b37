/** All live probes that run inside a sandbox, and how another kind of sandbox may differ from them. @module */
import { callProbes } from "./call-probes.ts";
import { fileProbes, identityProbes, kernelFileProbes, processProbes, socketProbes } from "./place-probes.ts";
import type { LiveProbe, ProbeRow } from "./probe.ts";

function toProbes(family: LiveProbe["family"], rows: readonly ProbeRow[]): LiveProbe[] {
  return rows.map(([id, scenario, sentence, heldBy]) => ({ id, scenario, sentence, heldBy, family }));
}

export const insideProbes: readonly LiveProbe[] = [
  ...toProbes("system calls", callProbes),
  ...toProbes("kernel files", kernelFileProbes),
  ...toProbes("files", fileProbes),
  ...toProbes("sockets", socketProbes),
  ...toProbes("processes", processProbes),
  ...toProbes("identity", identityProbes),
];
