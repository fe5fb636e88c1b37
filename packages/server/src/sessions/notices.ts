/**
 * Notices: what travels between processes by NOTIFY. A notice only says "look": losing one costs latency, never an
 * event. Deltas of a streaming message and sandbox states travel the same way and are never stored.
 * @module
 */

export type Notice =
  /** Events up to `seq` are committed. */
  | { readonly type: "appended"; readonly sessionId: string; readonly seq: number }
  /** A frame for clients that asked for it; has no id and is in no history. */
  | { readonly type: "frame"; readonly sessionId: string; readonly frame: PreviewFrame }
  | { readonly type: "deleted"; readonly sessionId: string };

export type PreviewFrame =
  | {
      readonly type: "event_start";
      readonly event: { readonly type: "agent.message" | "agent.thinking"; readonly id: string };
    }
  | {
      readonly type: "event_delta";
      readonly event_id: string;
      readonly delta: {
        readonly type: "content_delta";
        readonly index: number;
        readonly content: { readonly type: "text"; readonly text: string };
      };
    }
  | {
      readonly type: "x_exoloop.sandbox_status";
      readonly status: "creating" | "waking" | "awake" | "suspended" | "snapshotted" | "replaced" | "gone";
      readonly generation: number;
      /** How long the step to this state took. */
      readonly milliseconds: number;
      readonly at: string;
    };

export interface NoticeBoard {
  /** Queues a notice; notices of one process leave in batches every few milliseconds on a connection of their own. */
  publish(notice: Notice): void;
  /** Calls back for this session's notices until the returned function is called. */
  subscribe(sessionId: string, listener: (notice: Notice) => void): () => void;
}
