/** What a bench is: a name, and rows of figures with goals. @module */

export interface Row {
  readonly id: string;
  /** As printed: "ms", "s", "1/s". */
  readonly unit: string;
  /** How many samples. */
  readonly n: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** What is held against the goal; one of the above, or the only sample. */
  readonly value: number;
  /** Null: watched, not judged. */
  readonly goal: number | null;
  /** The same figure of what this is compared with, measured in the same run; null without one. */
  readonly peer: number | null;
  /** `value / peer`. */
  readonly ratio: number | null;
  readonly ok: boolean;
}

/** A whole number that a person may give: `--kills 10`. */
export interface BenchOption {
  /** As typed after `--`; lower case. */
  readonly name: string;
  readonly description: string;
  readonly default: number;
}

export interface BenchContext {
  /** Empty, on a disk, and removed afterwards. Unprivileged users can enter it. */
  readonly directory: string;
  /** For people, on standard error. */
  progress(text: string): void;
  /** A sentence that belongs to the result: what the figures must be read with. */
  note(text: string): void;
  /** What was given for one of the bench's options, else its default. @throws Error for a name that is none of them */
  option(name: string): number;
}

export interface Bench {
  readonly name: string;
  readonly description: string;
  readonly options?: readonly BenchOption[];
  run(context: BenchContext): Promise<Row[]>;
}

export interface BenchResult {
  readonly bench: string;
  /** Of the measured tree; `-dirty` when it had changes. Null outside a repository. */
  readonly commit: string | null;
  readonly machine: Machine;
  readonly rows: readonly Row[];
  readonly notes: readonly string[];
  readonly ok: boolean;
}

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Average number of running processes over the last minute, before the bench: above `cores` figures mean little. */
  readonly load: number;
}
