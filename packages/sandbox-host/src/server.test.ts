import { describe, expect, it } from "vitest";
import { describeFailure } from "./server.ts";

describe("a fault", () => {
  it("of a full disk names the remedy", () => {
    const error = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    expect(describeFailure(error)).toMatchObject({ code: "unavailable", remedy: expect.stringContaining("Make room") });
  });
  it("that nobody foresaw keeps its words", () => {
    expect(describeFailure(new Error("odd"))).toEqual({ code: "failed", message: "odd" });
  });
});
