/** What a client sends to a session. @module */

/** An event as a client sends it, checked by the HTTP layer. */
export type Input =
  | {
      readonly type: "user.message";
      readonly content: readonly unknown[];
      readonly x_exoloop?:
        | { readonly delivery?: "steer" | "queue" | undefined; readonly untrusted?: boolean | undefined }
        | undefined;
    }
  /** Of one thread; null or absent: of the session and all its threads. */
  | { readonly type: "user.interrupt"; readonly session_thread_id?: string | null | undefined }
  | {
      readonly type: "user.tool_confirmation";
      readonly tool_use_id: string;
      readonly result: "allow" | "deny";
      readonly deny_message?: string | null | undefined;
    }
  | {
      readonly type: "user.custom_tool_result";
      readonly custom_tool_use_id: string;
      readonly content?: readonly unknown[] | undefined;
      readonly is_error?: boolean | null | undefined;
    }
  /** Of the worker that the call was left to. */
  | {
      readonly type: "user.tool_result";
      readonly tool_use_id: string;
      readonly content?: readonly unknown[] | undefined;
      readonly is_error?: boolean | null | undefined;
    }
  | {
      readonly type: "user.define_outcome";
      readonly description: string;
      readonly rubric: { readonly type: "text"; readonly content: string };
      readonly max_iterations: number;
    };
