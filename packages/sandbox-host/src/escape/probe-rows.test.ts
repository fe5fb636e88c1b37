import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { allGates as gates, allLiveProbes as liveProbes, expectationsFor, gvisorDifferences } from "./expectations.ts";
import { judgeAnswers, parseAnswers } from "./probe.ts";
import { buildGuest } from "../guest-build.ts";
import { insideProbes } from "./probe-rows.ts";
import { findMissingWalls, wallArguments, wallProbes } from "./walls.ts";

const line = (id: string, answer: string): string => JSON.stringify({ id, answer, detail: "" });
const all = (answer: (id: string) => string): string => wallProbes.map(({ id }) => line(id, answer(id))).join("\n");
const asHeld = (id: string): string => wallProbes.find((probe) => probe.id === id)?.heldBy[0] ?? "";

describe("the catalogue of probes", () => {
  it("has each id once, and every scenario", () => {
    const everything = [...liveProbes, ...gates];
    expect(new Set(everything.map(({ id }) => id)).size).toBe(everything.length);
    const scenarios = new Set(everything.flatMap(({ scenario }) => (scenario === null ? [] : [scenario])));
    expect([...scenarios].toSorted((one, other) => one - other)).toEqual(
      Array.from({ length: 18 }, (_, index) => index + 1),
    );
    expect(everything.length).toBeGreaterThanOrEqual(90);
  });

  it("is what the program asks, and each question ends in an answer", () => {
    const output = execFileSync(buildGuest().probe, { encoding: "utf8" });
    const answers = parseAnswers(output);
    expect([...answers.keys()].toSorted()).toEqual(insideProbes.map(({ id }) => id).toSorted());
    expect([...answers].filter(([, { answer }]) => answer === "crashed")).toEqual([]);
    // It was not told anything of the outside here, and says so.
    expect(answers.get("flag-by-path")).toEqual({ answer: "ungiven", detail: "flag" });
  });

  it("never takes reaching, crashing or silence for holding", () => {
    for (const answer of ["reached", "crashed", "missing", "ungiven", "unable", ""]) {
      expect(liveProbes.filter(({ heldBy }) => heldBy.includes(answer))).toEqual([]);
    }
    expect(liveProbes.filter(({ heldBy }) => heldBy.length === 0)).toEqual([]);
  });

  it("has gates that refuse what they must", () => {
    for (const gate of gates)
      for (const control of gate.controls("")) expect([gate.id, gate.holds(control)]).toEqual([gate.id, false]);
  });
});

describe("what is declared of gVisor", () => {
  it("is about probes that there are, and never takes reaching for holding", () => {
    const ids = new Set([...liveProbes, ...gates].map(({ id }) => id));
    expect(gvisorDifferences.filter(({ id }) => !ids.has(id))).toEqual([]);
    expect(gvisorDifferences.filter(({ heldBy }) => heldBy?.includes("reached") === true)).toEqual([]);
    const { live, gates: asked } = expectationsFor("gvisor");
    expect(live.length + asked.length).toBeGreaterThanOrEqual(150);
    expect(expectationsFor("bubblewrap").declared).toEqual([]);
  });
});

describe("judging answers", () => {
  it("takes an answer that is missing, malformed or unknown for reached", () => {
    const probes = [{ id: "a", heldBy: ["EPERM"] }];
    const held = (output: string) => judgeAnswers(probes, parseAnswers(output))[0]?.held;
    expect(held(line("a", "EPERM"))).toBe(true);
    expect(held(line("a", "EINVAL"))).toBe(false);
    expect(held(line("b", "EPERM"))).toBe(false);
    expect(held(`x${line("a", "EPERM")}`)).toBe(false);
    expect(held("")).toBe(false);
  });
});

describe("the short form", () => {
  it("judges as the whole conformance does", () => {
    for (const { id, heldBy } of wallProbes)
      expect(insideProbes.find((probe) => probe.id === id)).toMatchObject({ id, heldBy });
    expect(wallProbes.length).toBeGreaterThanOrEqual(20);
  });

  it("names each missing wall once, with what mends it", () => {
    expect(findMissingWalls(all(asHeld), "auto")).toEqual([]);
    const open = all((id) => (id === "unshare-user" || id === "clone-user" ? "reached" : asHeld(id)));
    expect(findMissingWalls(open, "auto")).toEqual([
      { name: "no user namespaces", remedy: "Use a kernel with seccomp, or another sandbox provider." },
    ]);
    expect(findMissingWalls("", "auto").length).toBeGreaterThan(20);
  });

  it("asks less in weak mode, and only for what it needs", () => {
    expect(wallArguments("weak", "A=1")[0]).not.toContain("writable-sysctls");
    const output = execFileSync(buildGuest().probe, wallArguments("auto", "A=1"), { encoding: "utf8" });
    expect([...parseAnswers(output).keys()].toSorted()).toEqual(wallProbes.map(({ id }) => id).toSorted());
    expect(output).not.toContain("ungiven");
    expect(findMissingWalls(output, "auto").length).toBeGreaterThan(10);
    for (const word of wallArguments("auto", "A=1")) expect(word).toMatch(/^[a-zA-Z0-9:,=[\]-]+$/);
  });
});
