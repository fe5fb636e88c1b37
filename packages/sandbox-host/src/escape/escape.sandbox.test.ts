/** What `npm run escape` does, on every change. It needs root: without the control nothing is proved. */
import { expect, it } from "vitest";
import { checkEscape } from "./conformance.ts";

it("nothing of the outside is reached, and every probe was shown to fail where there are no walls", async () => {
  const { results, ...summary } = await checkEscape();
  expect(results.filter((result) => !result.held)).toEqual([]);
  expect(results.filter((result) => !result.controlReached)).toEqual([]);
  expect(summary).toMatchObject({ ok: true, reachable: 0 });
  expect(summary.weakControlReachable).toBe(summary.probes);
  expect(summary.seconds).toBeLessThan(10);
});
