/** Turns what traces write into fixtures. @module */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTestDatabase } from "../../db/testing.ts";
import type { LogEvent } from "../../sessions/event.ts";
import { createNoticeBoard } from "../../sessions/notice-board.ts";
import { createLogger } from "../../telemetry/logger.ts";
import { loopProtocolVersion } from "../protocol-version.ts";
import { type Fixture, fixturesDirectory, recordEvents, type RecordedLog } from "./fixture.ts";
import { decideAll } from "./replay.ts";
import { runTrace, type TracePlace } from "./run-trace.ts";
import type { Trace } from "./trace.ts";
import { traces } from "./traces.ts";
import { createWakeTables } from "./wake-table.ts";

const parallelTools = ["read", "grep", "glob"];

/** Records every trace that has no fixture yet, undisturbed and with a driver that is lost half-way. */
export async function recordTraces(tell: (text: string) => void): Promise<void> {
  const test = await createTestDatabase();
  const notices = await createNoticeBoard({ connectionString: test.url, log: createLogger("silent") });
  try {
    await createWakeTables(test.database);
    for (const trace of traces) {
      const name = trace.name.replaceAll(" ", "-");
      if (existsSync(pathOf(name))) continue;
      const fixture = await recordTrace({ database: test.database, notices }, trace, name);
      writeFixture(fixture);
      tell(`${name}: ${fixture.logs.map((log) => log.events.length).join(", ")} events`);
    }
  } finally {
    await notices.close();
    await test.drop();
  }
}

async function recordTrace(place: TracePlace, trace: Trace, name: string): Promise<Fixture> {
  const undisturbed = await runTrace(place, trace);
  const effect = Math.ceil(undisturbed.passed.length / 2);
  const disturbed = await runTrace(place, trace, { points: [{ effect, moment: "after" }] });
  const logsOf = (kind: string, logs: typeof undisturbed.logs) => {
    const names = new Map<string, string>();
    return logs
      .filter((log) => log.events.length > 0)
      .map((log, index) => recordLog(index === 0 ? kind : `${kind}, ${index + 1}`, log.events, names));
  };
  const logs = [...logsOf("undisturbed", undisturbed.logs), ...logsOf("a driver is lost", disturbed.logs)];
  return { name, source: "a trace of the crash tests", protocolVersion: loopProtocolVersion, parallelTools, logs };
}

/** A log that was read from a real session's rows. */
export function recordSession(
  given: { readonly name: string; readonly source: string; readonly protocolVersion: number },
  logs: readonly (readonly LogEvent[])[],
): void {
  const names = new Map<string, string>();
  const recorded = logs.map((events, index) => recordLog(`session ${index + 1}`, events, names));
  writeFixture({ ...given, parallelTools, logs: recorded });
}

function recordLog(name: string, events: readonly LogEvent[], names: Map<string, string>): RecordedLog {
  const log = { name, events: recordEvents(events, names) };
  return { ...log, ...decideAll(log, parallelTools) };
}

/** One event in a line: fixtures are read in reviews. */
function writeFixture({ logs, ...fixture }: Fixture): void {
  const written = logs.map(({ name, events, decisions, transcript }) =>
    [
      `    {\n      "name": ${JSON.stringify(name)},`,
      `      "events": [\n${events.map((event) => `        ${JSON.stringify(event)}`).join(",\n")}\n      ],`,
      `      "decisions": ${JSON.stringify(decisions, null, 8).replace(/\n {4}\}$|\n\}$/, "\n      }")},`,
      `      "transcript": ${JSON.stringify(transcript)}\n    }`,
    ].join("\n"),
  );
  const head = JSON.stringify(fixture, null, 2).replace(/\n\}$/, "");
  writeFileSync(pathOf(fixture.name), `${head},\n  "logs": [\n${written.join(",\n")}\n  ]\n}\n`);
}

function pathOf(name: string): string {
  return join(fixturesDirectory, `${name}.json`);
}
