import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cruise } from "./cruise.ts";
import type { Finding } from "./finding.ts";

const root = join(import.meta.dirname, "..");
const server = "packages/server/src";

/** For each rule: files of a repository in which the first one breaks it. */
const broken: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "no-cycles": {
    [`${server}/orgs/a.ts`]: `import { b } from "./b.ts"; export const a = b;`,
    [`${server}/orgs/b.ts`]: `import { a } from "./a.ts"; export const b = () => a;`,
  },
  resolvable: { [`${server}/orgs/lost.ts`]: `import "./not-there.ts";` },
  "http-not-loop": {
    [`${server}/http/app.ts`]: `import { run } from "../loop/run.ts"; run();`,
    [`${server}/loop/run.ts`]: "export const run = () => 1;",
  },
  "loop-not-http": {
    [`${server}/loop/perform.ts`]: `import { listen } from "../http/listen.ts"; listen();`,
    [`${server}/http/listen.ts`]: "export const listen = () => 1;",
  },
  "pure-core": {
    [`${server}/sessions/reduce.ts`]: `import { log } from "./log.ts"; log();`,
    [`${server}/sessions/log.ts`]: "export const log = () => 1;",
  },
  "pure-core-no-libraries": { [`${server}/policy/decide-call.ts`]: `import { z } from "zod"; z.string();` },
  "pure-core-no-io": { [`${server}/loop/decide.ts`]: `import { readFileSync } from "node:fs"; readFileSync("a");` },
  "protocol-alone": {
    "packages/protocol/src/words.ts": `import { secret } from "../../server/src/config.ts"; secret();`,
    [`${server}/config.ts`]: "export const secret = () => 1;",
  },
  "protocol-in-browsers": {
    "packages/protocol/src/random.ts": `import { randomUUID } from "node:crypto"; randomUUID();`,
  },
  "client-in-browsers": { "packages/client/src/transport.ts": `import { request } from "node:http"; request("a");` },
  "client-protocol-only": {
    "packages/client/src/client.ts": `import { secret } from "../../server/src/config.ts"; secret();`,
    [`${server}/config.ts`]: "export const secret = () => 1;",
  },
  "egress-protocol-only": {
    "packages/egress/src/main.ts": `import { secret } from "../../server/src/config.ts"; secret();`,
    [`${server}/config.ts`]: "export const secret = () => 1;",
  },
  "sandbox-alone": {
    "packages/sandbox/src/contract.ts": `import { id } from "../../protocol/src/ids.ts"; id();`,
    "packages/protocol/src/ids.ts": "export const id = () => 1;",
  },
  "host-sandbox-only": {
    "packages/sandbox-host/src/main.ts": `import { secret } from "../../server/src/config.ts"; secret();`,
    [`${server}/config.ts`]: "export const secret = () => 1;",
  },
  "host-no-libraries": { "packages/sandbox-host/src/server.ts": `import { z } from "zod"; z.string();` },
  "server-not-above": {
    [`${server}/errors.ts`]: `import { main } from "../../cli/src/main.ts"; main();`,
    "packages/cli/src/main.ts": "export const main = () => 1;",
  },
  "concrete-in-main": {
    [`${server}/loop/driver.ts`]: `import { engine } from "../engine/pg-boss-engine.ts"; engine();`,
    [`${server}/engine/pg-boss-engine.ts`]: "export const engine = () => 1;",
  },
  "providers-apart": {
    "packages/sandbox/src/providers/docker/provider.ts": `import { frame } from "../local/frames.ts"; frame();`,
    "packages/sandbox/src/providers/local/frames.ts": "export const frame = () => 1;",
  },
  "models-hide-the-sdk": {
    [`${server}/loop/call-model.ts`]: `import { APICallError } from "@ai-sdk/provider"; APICallError;`,
  },
  "engine-hides-pg-boss": { [`${server}/sessions/inbox.ts`]: `import { PgBoss } from "pg-boss"; PgBoss;` },
  "no-tests-in-code": {
    [`${server}/launch.ts`]: `import "./launch.test.ts";`,
    [`${server}/launch.test.ts`]: "export const a = 1;",
  },
};

/** What must stay allowed although it looks like the above. */
const allowed: Readonly<Record<string, string>> = {
  [`${server}/main.ts`]: `import { engine } from "./engine/pg-boss-engine.ts"; import { run } from "./loop/run.ts"; engine(); run();`,
  [`${server}/engine/pg-boss-engine.ts`]: `import { PgBoss } from "pg-boss"; export const engine = () => PgBoss;`,
  [`${server}/engine/engine.db.test.ts`]: `import { engine } from "./pg-boss-engine.ts"; engine();`,
  [`${server}/loop/run.ts`]: `import type { Log } from "../sessions/log.ts"; export const run = (log?: Log) => log;`,
  [`${server}/sessions/log.ts`]: "export interface Log { readonly length: number }",
  [`${server}/sessions/reduce.ts`]: `import type { Part } from "../models/model.ts"; export const reduce = (part: Part) => part;`,
  [`${server}/models/model.ts`]: `import { z } from "zod"; export const part = z.string(); export type Part = z.infer<typeof part>;`,
};

let directory = "";

function writeRepository(files: Readonly<Record<string, string>>): string {
  directory = mkdtempSync(join(tmpdir(), "exoloop-arrows-"));
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(directory, dirname(path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

function removeRepository(): void {
  rmSync(directory, { recursive: true, force: true });
}

describe("the arrows check, on a repository with every fault", () => {
  let findings: readonly Finding[] = [];
  beforeAll(async () => {
    ({ findings } = await cruise(writeRepository(Object.assign({}, ...Object.values(broken)))));
  });
  afterAll(removeRepository);

  it.for(Object.entries(broken))("catches what %s forbids", ([rule, files]) => {
    const caught = findings.find((finding) => finding.rule === rule && finding.where === Object.keys(files)[0]);
    expect(caught, JSON.stringify(findings)).toBeDefined();
    expect(caught?.why).toMatch(/\w\.$/);
    expect(caught?.fix).toMatch(/\w\.$/);
  });

  it("has a fault for each of its rules", () => {
    const config = readFileSync(join(root, ".dependency-cruiser.mjs"), "utf8");
    const rules = [...config.matchAll(/forbid\(\s*"([^"]+)"/g)].map((match) => match[1]);
    expect(new Set(Object.keys(broken))).toEqual(new Set(rules));
  });
});

describe("the arrows check, on a repository without faults", () => {
  afterAll(removeRepository);

  it("finds nothing", async () => {
    const { findings, files } = await cruise(writeRepository(allowed));
    expect(findings).toEqual([]);
    expect(files).toBeGreaterThanOrEqual(Object.keys(allowed).length);
  });
});
