/** What taking over a command's changes is given. @module */
import type { StoredFiles } from "../postgres/stored-files.ts";
import type { Inspecting } from "./inspect.ts";

interface CaptureDependencies {
  readonly userId?: string | null;
  readonly untrusted?: boolean;
  readonly files: StoredFiles;
  readonly organizationId: string;
  readonly sessionId: string;
}

export interface Capture extends Inspecting {
  readonly dependencies: CaptureDependencies;
  readonly toolUseId: string | null;
  /** Paths of which the lines speak already. */
  readonly mentioned: Set<string>;
}
