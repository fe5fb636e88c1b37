/**
 * Records logs for `packages/server/src/loop/replay.test.ts`: every trace of the crash tests that has no fixture yet, or
 * a session from the rows of its log. A fixture that exists stays as it is: it says what an older version has written.
 *
 *   node scripts/run.mjs scripts/record-fixtures.ts
 *   node scripts/run.mjs scripts/record-fixtures.ts --name=NAME --source=TEXT [--version=N] FILE…
 *
 * FILE: a JSON array of rows with seq, id, type, data, record, created_at, as `select … from session_events` gives them.
 * @module
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { loopProtocolVersion } from "@exoloop/server/loop/protocol-version";
import { recordSession, recordTraces } from "@exoloop/server/loop/testing/record-traces";
import type { LogEvent } from "@exoloop/server/sessions/event";

type Row = Omit<LogEvent, "createdAt"> & { readonly created_at: string };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { name: { type: "string" }, source: { type: "string" }, version: { type: "string" } },
});

function readRows(path: string): readonly LogEvent[] {
  const rows = JSON.parse(readFileSync(path, "utf8")) as readonly Row[];
  return rows.map(({ created_at, ...row }) => ({ ...row, seq: Number(row.seq), createdAt: new Date(created_at) }));
}

if (positionals.length === 0) {
  await recordTraces((text) => process.stdout.write(`${text}\n`));
} else {
  const { name, source, version } = values;
  if (name === undefined || source === undefined) throw new Error("--name and --source are missing");
  const protocolVersion = version === undefined ? loopProtocolVersion : Number(version);
  recordSession({ name, source, protocolVersion }, positionals.map(readRows));
}
process.exit(0);
