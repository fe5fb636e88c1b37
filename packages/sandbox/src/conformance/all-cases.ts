/** Every conformance case, by subject. @module */
import { attachCases } from "./cases/attach-cases.ts";
import { execCases } from "./cases/exec-cases.ts";
import { fetchCases } from "./cases/fetch-cases.ts";
import { inputCases } from "./cases/stdin-cases.ts";
import { lifecycleCases } from "./cases/lifecycle-cases.ts";
import { placeCases } from "./cases/place-cases.ts";
import { readCases } from "./cases/read-cases.ts";
import { signalCases } from "./cases/signal-cases.ts";
import { suspendCases } from "./cases/suspend-cases.ts";
import { treeCases } from "./cases/tree-cases.ts";
import { wallCases } from "./cases/wall-cases.ts";
import { writeCases } from "./cases/write-cases.ts";
import type { ConformanceCase } from "./conformance-case.ts";

export const allCases: readonly ConformanceCase[] = [
  ...execCases,
  ...signalCases,
  ...inputCases,
  ...attachCases,
  ...readCases,
  ...writeCases,
  ...treeCases,
  ...fetchCases,
  ...placeCases,
  ...lifecycleCases,
  ...suspendCases,
  ...wallCases,
];
