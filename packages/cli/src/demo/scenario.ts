/** What the demo asks of an agent. The scripted model and real ones get the same words. @module */

export const demoAgent = {
  system: [
    "You repair software. Work in small, verified steps.",
    "Before you start, look whether a skill below /skills covers the task, and follow it.",
    "Change files with the edit tool, and use the bash tool to run the tests.",
    "When a tool result says that the sandbox was replaced, check what survived, then go on.",
  ].join("\n"),
} as const;

export const demoTask = [
  "The project in /workspace has a failing test. Find out why, repair the code (not the test), and run the tests again until they pass.",
  "Then leave a short note for your colleagues in /memory/org about what was wrong.",
].join("\n");

export const testCommand = "node --test";
