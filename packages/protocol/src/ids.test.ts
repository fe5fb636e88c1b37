import { expect, it } from "vitest";
import { createId, instantOf, isId } from "./ids.ts";

it("tells when it was made, and nothing of what is no identifier", () => {
  const instant = Date.UTC(2026, 10, 26, 10, 59, 0, 123);
  const id = createId("sandbox", instant);
  expect(isId("sandbox", id)).toBe(true);
  expect(instantOf(id)).toBe(instant);
  for (const other of ["", "sbx_", "sbx_01M8", `${id}X`, id.toLowerCase()]) expect(instantOf(other)).toBeNull();
});
