import { expect, test } from "vitest";
import { snapshotTable } from "./snapshots.ts";

test("a snapshot is a line, with sizes that can be read", () => {
  const snapshot = {
    type: "workspace_snapshot" as const,
    id: "snap_1",
    session_id: "sesn_1",
    parent_id: null,
    generation: 1,
    files: 500,
    left_out: 0,
    bytes: 52_400_000,
    stored_bytes: 999,
    kept: true,
    created_at: "2026-11-26T10:00:00.000Z",
  };
  const terminal = { output: { write: () => true }, environment: {} };
  const lines = snapshotTable([snapshot, { ...snapshot, id: "snap_2", bytes: 0, kept: false }], terminal);
  expect(lines.map((line) => line.trim().split(/ {2,}/))).toEqual([
    ["ID", "CREATED", "FILES", "SIZE", "ADDED", "KEPT"],
    ["snap_1", "2026-11-26 10:00:00", "500", "52.4 MB", "999 B", "yes"],
    ["snap_2", "2026-11-26 10:00:00", "500", "0 B", "999 B"],
  ]);
});
