/**
 * Fewer appends for the same log: a result is written together with the intent that follows it, in one commit. Nothing
 * happens between the two but deciding, and no effect begins before both are stored: what a crash leaves behind is what
 * it left behind before.
 * @module
 */
import { jsonbForm } from "../db/jsonb-form.ts";
import type { LogEvent } from "../sessions/event.ts";
import type { AppendRequest, Effects } from "./effects.ts";

interface Held {
  /** Number of the last stored event that this driver knew when it held the first of these back. */
  readonly after: number;
  readonly request: AppendRequest;
}

/** For one turn: its driver reads the log whole before its first append, and again after every null. */
export function joinAppends(effects: Effects): Effects {
  const joint = createJoint(effects);
  return {
    ...effects,
    append: async (request) =>
      request.joins === true && canHold(request) ? joint.hold(request) : joint.write(request),
    readAfter: (seq) => joint.readAfter(seq),
    async checkWait(call) {
      await joint.flush();
      return effects.checkWait(call);
    },
    async interruptThreads(threadIds, sourceId) {
      if (threadIds.length > 0) await joint.flush();
      return effects.interruptThreads(threadIds, sourceId);
    },
    interruptible(seq, intent, effect) {
      const unseen = joint.unseenAfter();
      return unseen === null
        ? effects.interruptible(seq, intent, effect)
        : effects.interruptible(Math.min(seq, unseen), null, effect);
    },
  };
}

function createJoint(effects: Effects) {
  /** Number of the last event that the driver knows, stored or held back; NaN when the log must be read whole. */
  let known = 0;
  let held: Held | null = null;
  /** Others' input lies after this number, unseen: the last append did not follow what was known. */
  let unseenAfter: number | null = null;

  const write = async (request: AppendRequest): Promise<readonly LogEvent[] | null> => {
    const before = held;
    held = null;
    const after = before?.after ?? known;
    const stored = await effects.append(before === null ? request : join(before, request));
    if (stored === null) {
      // The log has grown, so the turn does not end here; what has happened is recorded all the same.
      if (before !== null) await effects.append(before.request);
      return null;
    }
    if (stored.some((event, index) => event.seq !== after + index + 1)) {
      unseenAfter = Math.min(after, unseenAfter ?? after);
      return null;
    }
    known = stored.at(-1)?.seq ?? known;
    return stored.slice(before?.request.events.length ?? 0);
  };
  /** Before an effect that no intent precedes. */
  const flush = async (): Promise<void> => {
    if (held !== null && (await write({ events: [] })) === null) known = Number.NaN;
  };
  return {
    write,
    flush,
    unseenAfter: () => unseenAfter,
    hold(request: AppendRequest): readonly LogEvent[] {
      const first = known + 1;
      held = held === null ? { after: known, request } : { after: held.after, request: join(held, request) };
      known += request.events.length;
      const createdAt = new Date(effects.now());
      return request.events.map(({ data, record, ...event }, index) => ({
        ...event,
        data: data && jsonbForm(data),
        record: record && jsonbForm(record),
        seq: first + index,
        createdAt,
      }));
    },
    async readAfter(seq: number): Promise<readonly LogEvent[]> {
      await flush();
      const whole = Number.isNaN(known) || seq === 0;
      const events = await effects.readAfter(whole ? 0 : seq);
      known = events.at(-1)?.seq ?? (whole ? 0 : Math.max(known, seq));
      if (whole) unseenAfter = null;
      return events;
    },
  };
}

function canHold({ onlyAt, parent }: AppendRequest): boolean {
  return onlyAt === undefined && parent === undefined;
}

/** The later status wins; `onlyAt` of the later one becomes where the held events would begin. */
function join({ after, request: first }: Held, second: AppendRequest): AppendRequest {
  const status = second.status ?? first.status;
  return {
    ...first,
    ...second,
    events: [...first.events, ...second.events],
    audit: [...(first.audit ?? []), ...(second.audit ?? [])],
    ...(status === undefined ? {} : { status }),
    ...(second.onlyAt === undefined ? {} : { onlyAt: after }),
  };
}
