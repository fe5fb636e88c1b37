/** What bench and workers agree on. @module */

/** The detector as in development: a worker that has been silent for three seconds is given up. */
export const workerTimeoutMs = 3_000;

/** Set for the proof that the oracle catches: which rule the workers break. */
export const brokenVariable = "DURABILITY_BROKEN";
