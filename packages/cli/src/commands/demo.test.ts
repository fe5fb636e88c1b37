import { expect, test } from "vitest";
import { demoModel, describeModel } from "./demo.ts";

test("the first line says who plays the model, and why", () => {
  expect(describeModel("claude-opus-5", {})).toBe("Model: claude-opus-5");
  expect(describeModel("scripted/repair", {})).toBe(
    "Model: scripted (no ANTHROPIC_API_KEY, OPENAI_API_KEY or OPENAI_BASE_URL was found): a script plays the model, everything else is real.",
  );
  expect(describeModel("scripted", { EXOLOOP_DEFAULT_MODEL: "scripted" })).toContain("(asked for)");
  expect(describeModel("a\u001b[2J", {})).toBe("Model: a\\x1b[2J");
});

test("the scripted model plays the demo's own script, and others play themselves", () => {
  expect(["scripted", "scripted/inline", "gpt-6"].map(demoModel)).toEqual([
    "scripted/repair",
    "scripted/inline",
    "gpt-6",
  ]);
});
