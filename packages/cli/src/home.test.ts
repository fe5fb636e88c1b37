import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig } from "@exoloop/server/config";
import { afterEach, beforeEach, expect, test } from "vitest";
import { credentialsPath, findConnection, homeOf, readCredentials, writeCredentials } from "./home.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "exoloop-home-"));
});
afterEach(() => rm(home, { recursive: true }));

const stored = { url: "http://127.0.0.1:4600", apiKey: "key-1" };

test.each([[{}], [{ EXOLOOP_HOME: "" }], [{ EXOLOOP_HOME: " " }], [{ EXOLOOP_HOME: " /srv/./exoloop/ " }]])(
  "command line and server agree on the home: %j",
  (environment) => expect(homeOf(environment)).toBe(readConfig(environment).home),
);

test("neither takes a home that depends on the working directory", () => {
  const environment = { EXOLOOP_HOME: "here" };
  expect(() => homeOf(environment)).toThrow('EXOLOOP_HOME is "here": it must be an absolute path.');
  expect(() => readConfig(environment)).toThrow('EXOLOOP_HOME is "here": it must be an absolute path.');
});

test("credentials are readable by their owner alone, also when a wider file was there", async () => {
  await writeFile(credentialsPath(home), "{}", { mode: 0o644 });
  await writeCredentials(home, stored);
  expect((await stat(credentialsPath(home))).mode & 0o777).toBe(0o600);
  expect(await readCredentials(home)).toEqual(stored);
  expect(JSON.parse(await readFile(credentialsPath(home), "utf8"))).toEqual({
    url: stored.url,
    api_key: stored.apiKey,
  });
});

test("no file is no credentials, a broken one is one sentence with its path", async () => {
  expect(await readCredentials(home)).toBeNull();
  await writeFile(credentialsPath(home), "not json");
  await expect(readCredentials(home)).rejects.toThrow(credentialsPath(home));
});

test("the environment wins over the file", async () => {
  await writeCredentials(home, stored);
  expect(await findConnection({}, home)).toEqual(stored);
  expect(await findConnection({ EXOLOOP_API_KEY: "other" }, home)).toEqual({
    ...stored,
    apiKey: "other",
  });
  expect(await findConnection({ EXOLOOP_URL: "http://127.0.0.1:4600/" }, home)).toEqual(stored);
});

test("the file's key never goes to another server", async () => {
  await writeCredentials(home, stored);
  expect(await findConnection({ EXOLOOP_URL: "https://elsewhere.example" }, home)).toEqual({
    url: "https://elsewhere.example",
    apiKey: "",
  });
});

test("a wrong URL or key names its variable and is not shown", async () => {
  await expect(findConnection({ EXOLOOP_URL: "http://me:secret@127.0.0.1" }, home)).rejects.toThrow(
    /^EXOLOOP_URL holds a user or a password: put the key into EXOLOOP_API_KEY\.$/,
  );
  await expect(findConnection({ EXOLOOP_API_KEY: "two\nlines" }, home)).rejects.toThrow(/^EXOLOOP_API_KEY contains/);
  await expect(findConnection({ EXOLOOP_URL: "file:///etc" }, home)).rejects.toThrow("EXOLOOP_URL");
});
