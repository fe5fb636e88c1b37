/** What the bench's client and workers of DBOS call the same. @module */

export const dbosApplication = "exoloop-bench";
export const dbosQueue = "turns";
export const dbosVersion = "1";
export const dbosWorkflow = "turn";
