import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { createCountReporter } from "./scripts/count-reporter.ts";

/** What a test needs is in its name: x.test.ts nothing, x.db.test.ts Postgres, x.sandbox.test.ts and x.e2e.test.ts a machine. */
const sources = "{packages/*/src,scripts,bench,examples}/**/";
const needsDatabase = `${sources}*.{db,crash}.test.ts`;
const needsMachine = `${sources}*.{sandbox,e2e}.test.ts`;

/** Set by scripts/test.ts. */
const countsFile = process.env["VITEST_COUNTS_FILE"];

export default defineConfig({
  test: {
    reporters: countsFile === undefined ? ["default"] : ["default", createCountReporter(countsFile)],
    // Each test starts from clean modules; a process apart, so that signals and user ids are real.
    pool: "forks",
    maxWorkers: Math.min(availableParallelism(), 4),
    slowTestThreshold: 5_000,
    projects: [
      {
        extends: true,
        test: {
          name: "pure",
          include: [`${sources}*.test.ts`],
          exclude: ["**/node_modules/**", needsDatabase, needsMachine],
          testTimeout: 15_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "db",
          include: [needsDatabase],
          testTimeout: 60_000,
          hookTimeout: 90_000,
          // Every worker has a database of its own in one server; more than two only wait for its disk.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "machine",
          include: [needsMachine],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Whole servers with sandboxes: one at a time, so that deadlines mean the code and not the neighbour.
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
