/** What happened to a sandbox and the model is to be told, with the result of the next command. @module */

export type SandboxNotice =
  /** The sandbox was lost, or a person ended it. */
  | { readonly type: "replaced"; readonly generation: number; readonly snapshotAt: string | null }
  /** It was put away after a time without use, or moved to another provider. */
  | {
      readonly type: "restored";
      readonly generation: number;
      readonly snapshotAt: string | null;
      readonly movedTo: string | null;
    }
  /** The time of a command in the background was up: it stands still. */
  | { readonly type: "lease_expired"; readonly commandId: string };

/** As the sandbox's row keeps it. `by`: the command whose result tells it; absent while none has begun since. */
export type StoredNotice = SandboxNotice & { readonly by?: string };

/** @param lost Whether the command of this very result was lost with its sandbox. */
export function describeNotices(notices: readonly SandboxNotice[], lost: boolean): readonly string[] {
  // Each replacement ends what the ones before it have told.
  const last = notices.findLastIndex((notice) => notice.type !== "lease_expired");
  return notices
    .filter((notice, index) => notice.type === "lease_expired" || index === last)
    .map((notice) => describe(notice, lost));
}

function describe(notice: SandboxNotice, lost: boolean): string {
  switch (notice.type) {
    case "replaced":
      return describeReplaced(notice, lost);
    case "restored":
      return describeRestored(notice);
    case "lease_expired":
      return `<sandbox_lease_expired>The time of the background command ${notice.commandId} was up: its processes stand still while no command runs, and go on when its lease is renewed.</sandbox_lease_expired>`;
  }
}

function describeReplaced(
  { generation, snapshotAt }: Extract<SandboxNotice, { type: "replaced" }>,
  lost: boolean,
): string {
  const restored =
    snapshotAt === null
      ? "No snapshot existed, so /workspace is empty."
      : `/workspace was restored from the snapshot taken at ${snapshotAt}.`;
  const command = lost
    ? "The command of this call was running: it may have run in part, its effects after the snapshot are lost, and it was not run again."
    : "No command was running.";
  return [
    "<sandbox_replaced>",
    `The sandbox was lost; generation ${generation} has taken its place.`,
    restored,
    command,
    "Background processes and files outside /workspace, /skills and /memory are gone. /skills and /memory are current.",
    "</sandbox_replaced>",
  ].join("\n");
}

function describeRestored({ snapshotAt, movedTo }: Extract<SandboxNotice, { type: "restored" }>): string {
  const why = movedTo === null ? "was put away after a time without use" : `has moved to the provider ${movedTo}`;
  const workspace = snapshotAt === null ? "/workspace is empty, as it was" : "/workspace is as it was";
  return `<sandbox_restored>The sandbox ${why}: ${workspace}; processes and /tmp are gone.</sandbox_restored>`;
}
