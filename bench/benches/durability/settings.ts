/** What bench and workers agree on. @module */
import type { EngineTiming } from "@exoloop/server/engine/pg-boss-engine";

/** The detector as in development: a worker that has been silent for three seconds is given up. */
export const detector: EngineTiming = { look: 1000, beat: 750, lost: 3000 };

/** Set for the proof that the oracle catches: which rule the workers break. */
export const brokenVariable = "DURABILITY_BROKEN";
