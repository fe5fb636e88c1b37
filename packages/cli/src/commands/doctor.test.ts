import { createServer } from "node:net";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createColors } from "picocolors";
import { expect, test } from "vitest";
import { checkDatabase, checkHome, checkNode, describeFindings, readDatabaseAddress } from "./doctor.ts";

test("Node.js is compared by number", () => {
  const states = ["20.20.2", "22.9.0", "22.18.9", "22.19.0", "24.0.0"].map((version) => checkNode(version).state);
  expect(states).toEqual(["missing", "missing", "missing", "ok", "ok"]);
});

test("a home that does not exist yet is judged by what is above it", async () => {
  const directory = await mkdtemp(join(tmpdir(), "exoloop-doctor-"));
  try {
    expect(checkHome(join(directory, "a/b")).state).toBe("ok");
    await writeFile(join(directory, "file"), "");
    expect(checkHome(join(directory, "file/below"))).toMatchObject({
      state: "missing",
      remedy: expect.stringContaining("EXOLOOP_HOME"),
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a database is reachable when something listens there, and its password is never shown", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const url = `postgres://me:hunter2@127.0.0.1:${port}/db`;
  const reachable = await checkDatabase({ DATABASE_URL: url });
  await new Promise((resolve) => server.close(resolve));
  const unreachable = await checkDatabase({ DATABASE_URL: url });
  expect([reachable.state, unreachable.state]).toEqual(["ok", "missing"]);
  expect(unreachable.detail).toContain("ECONNREFUSED");
  expect(JSON.stringify([reachable, unreachable])).not.toContain("hunter2");
});

test("the embedded database is found where it is installed", async () => {
  expect(await checkDatabase({})).toMatchObject({ id: "postgres", state: "ok" });
});

test("addresses of databases", () => {
  expect(readDatabaseAddress("postgresql://db.example/x")).toEqual({
    host: "db.example",
    port: 5432,
  });
  expect(readDatabaseAddress("postgres:///x?host=/run/postgresql")).toEqual({
    path: "/run/postgresql/.s.PGSQL.5432",
  });
  expect(readDatabaseAddress("mysql://db.example/x")).toBeNull();
  expect(readDatabaseAddress("nonsense")).toBeNull();
});

test("what is missing stands beside the command that mends it", () => {
  const text = describeFindings(
    [
      { id: "a", title: "A", state: "ok", detail: "fine", remedy: "never shown" },
      {
        id: "b",
        title: "B",
        state: "missing",
        detail: "not there\u001b[2J",
        remedy: "apt-get install b",
      },
    ],
    createColors(false),
  ).join("\n");
  expect(text).toContain("MISSING B: not there\\x1b[2J\n        apt-get install b");
  expect(text).not.toContain("never shown");
  expect(text).toContain("1 of 2 checks");
});
