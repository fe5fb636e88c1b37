/**
 * What the model reads of a background command's output: each call without an offset goes on where the last one ended.
 * A call that is made again after its worker was lost reads from where it did the first time.
 * @module
 */
import type { CommandExit } from "@exoloop/sandbox/session";
import { sql } from "kysely";
import type { Database } from "../../db/database.ts";
import type { OutputReading } from "../../db/tables/sandboxes.ts";
import type { BackgroundCommands, BackgroundOutput, BackgroundSummary } from "../../tools/tool.ts";
import type { SandboxRoom } from "../room.ts";
import type { SandboxOwner } from "../workspace.ts";

interface Parts {
  readonly database: Database;
  readonly background: SandboxRoom["background"];
}

/** Bytes of one answer. */
const mostShown = 24 * 1024;
/** Readings that are remembered: as many calls as may be made in one step. */
const rememberedReadings = 64;
/** Others read the same command in the same step. */
const mostAttempts = 20;

export function createBackgroundCommands(parts: Parts, owner: SandboxOwner): BackgroundCommands {
  const { background } = parts;
  return {
    start: (request) => background.start(owner, request),
    list: () => background.list(owner),
    async read({ readingId, commandId, offset }) {
      const found = (await background.list(owner)).find((one) => one.commandId === commandId);
      if (found === undefined) return null;
      if (offset !== undefined) return show(parts, owner, found, { from: offset, readFrom: offset });
      for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
        const output = await readNew(parts, owner, found, readingId);
        if (output !== null) return output;
      }
      throw new Error(`session ${owner.sessionId}: command ${commandId} is read by too many at once`);
    },
    async kill(commandId) {
      const known = (await background.list(owner)).some((one) => one.commandId === commandId);
      return known ? background.kill(owner, commandId) : null;
    },
  };
}

/** Null when another reading came between. */
async function readNew(
  parts: Parts,
  owner: SandboxOwner,
  found: BackgroundSummary,
  readingId: string,
): Promise<BackgroundOutput | null> {
  const row = await parts.database
    .selectFrom("sandbox_leases")
    .select("readings")
    .where("session_id", "=", owner.sessionId)
    .where("command_id", "=", found.commandId)
    .executeTakeFirstOrThrow();
  const earlier = row.readings.find(({ by }) => by === readingId);
  const readFrom = earlier?.from ?? row.readings.at(-1)?.to ?? 0;
  // Of much that is new, the end says more than the beginning.
  const output = await show(parts, owner, found, { from: Math.max(readFrom, found.outputBytes - mostShown), readFrom });
  if (earlier !== undefined || found.state === "lost") return output;
  const reading: OutputReading = { by: readingId, from: readFrom, to: output.nextOffset };
  const kept = await parts.database
    .updateTable("sandbox_leases")
    .set({ readings: JSON.stringify([...row.readings, reading].slice(-rememberedReadings)) })
    .where("session_id", "=", owner.sessionId)
    .where("command_id", "=", found.commandId)
    .where(sql<boolean>`readings = ${JSON.stringify(row.readings)}::jsonb`)
    .executeTakeFirst();
  return kept.numUpdatedRows === 1n ? output : null;
}

async function show(
  { background }: Parts,
  owner: SandboxOwner,
  found: BackgroundSummary,
  { from, readFrom }: { readonly from: number; readonly readFrom: number },
): Promise<BackgroundOutput> {
  const read = found.state === "lost" ? null : await background.readOutput(owner, found.commandId, from);
  if (read === null) {
    const lost = { ...found, state: "lost", exit: null } as const;
    return { ...lost, text: "", offset: readFrom, nextOffset: readFrom, readFrom };
  }
  const { bytes, begin } = wholeCharacters(read.bytes.subarray(0, mostShown), read.exit);
  const offset = read.offset + begin;
  return {
    ...found,
    ...(read.exit === null ? {} : { state: "ended", exit: read.exit }),
    text: new TextDecoder().decode(bytes),
    offset,
    nextOffset: offset + bytes.length,
    readFrom,
  };
}

/** Characters of UTF-8 that are cut at either side are left for another reading; what is no UTF-8 stays as it is. */
function wholeCharacters(bytes: Uint8Array, exit: CommandExit | null): { bytes: Uint8Array; begin: number } {
  const isContinuation = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;
  let begin = 0;
  while (begin < 3 && isContinuation(bytes[begin])) begin += 1;
  let end = bytes.length;
  // The last character's first byte is at most three back.
  for (let back = 1; back <= 3 && exit === null; back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (isContinuation(byte)) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    if (length > back) end = bytes.length - back;
    break;
  }
  return begin < end ? { bytes: bytes.subarray(begin, end), begin } : { bytes, begin: 0 };
}
