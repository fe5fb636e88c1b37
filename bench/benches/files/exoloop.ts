/** The stored files of a session in an embedded Postgres of their own. @module */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Database, openDatabase } from "@exoloop/server/db/database";
import { startEmbeddedPostgres, stopEmbeddedPostgres } from "@exoloop/server/db/embedded/supervisor";
import { migrate } from "@exoloop/server/db/migrate";
import { organizationMemoryMount as mount } from "@exoloop/server/files/mounts";
import { createStoredFiles } from "@exoloop/server/files/postgres/stored-files";
import { actorOf, createTestOrganization, createTestSession } from "@exoloop/server/files/postgres/testing";
import type { FileStore } from "@exoloop/server/files/store";
import { createLogger } from "@exoloop/server/telemetry/logger";
import { sql } from "kysely";
import type { Contender } from "./contender.ts";
import type { Corpus, CorpusFile } from "./corpus.ts";

const filesAtOnce = 250;
const mostFound = 5_000;

interface SessionFiles {
  readonly store: FileStore;
  /** As the store wants it, for a new tool call. */
  actor(): ReturnType<typeof actorOf>;
}

export interface StoredContender extends Contender {
  /** Another session of the same organization. */
  openSession(): Promise<SessionFiles>;
  readonly database: Database;
  /** Where the store shows the files. */
  readonly root: string;
}

export async function createExoloop(directory: string, corpus: Corpus): Promise<StoredContender> {
  const home = join(directory, "postgres");
  mkdirSync(home, { recursive: true });
  const { url } = await startEmbeddedPostgres({ directory: home, log: createLogger("error") });
  await migrate(url);
  const database = await openDatabase(url, { maximumConnections: 20, applicationName: "exoloop bench" });
  const organizationId = await createTestOrganization(database);
  const stored = createStoredFiles(database);
  const openSession = async (): Promise<SessionFiles> => {
    const sessionId = await createTestSession(database, organizationId);
    return {
      store: stored.open({ organizationId, sessionId }, mount),
      actor: () => actorOf(organizationId, sessionId),
    };
  };
  for (let start = 0; start < corpus.files.length; start += filesAtOnce) {
    const changes = corpus.files.slice(start, start + filesAtOnce).map(changeOf);
    const request = {
      mount,
      actor: actorOf(organizationId, null, "import"),
      paths: changes.map((change) => change.path),
    };
    await stored.commit(request, () => ({ changes, result: null }));
  }
  // What autovacuum does within a minute.
  for (const table of ["file_entries", "file_texts"]) await sql`vacuum (analyze) ${sql.table(table)}`.execute(database);
  const { store, actor } = await openSession();
  const at = (path: string) => `${mount.prefix}/${path}`;
  return {
    name: "exoloop",
    root: mount.prefix,
    database,
    openSession,
    read: async (path) => new TextDecoder().decode((await store.read(at(path))).bytes),
    write: async (path, text) => void (await store.write(at(path), new TextEncoder().encode(text), actor(), null)),
    edit: async (path, oldText, newText) =>
      void (await store.edit(at(path), { oldText, newText, all: false }, actor())),
    list: async (path) => (await store.glob(at(path), "*", mostFound)).length,
    glob: async (part, ending) => (await store.glob(mount.prefix, `**/*${part}*${ending}`, mostFound)).length,
    async grep(pattern, maximumMatches) {
      const { lines } = await store.grep({ pattern, path: mount.prefix, ignoreCase: false, maximumMatches });
      return lines.length;
    },
    async close() {
      await database.destroy();
      await stopEmbeddedPostgres({ directory: home });
    },
  };
}

function changeOf({ path, text }: CorpusFile) {
  const bytes = new TextEncoder().encode(text);
  return {
    type: "put" as const,
    path: `${mount.prefix}/${path}`,
    bytes,
    executable: false,
    operation: "write" as const,
  };
}
