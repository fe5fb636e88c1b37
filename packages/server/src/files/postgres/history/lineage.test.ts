import { expect, test } from "vitest";
import { type FileState, type LineageStep, withoutSession } from "./lineage.ts";

/** The hash of a text is the text. */
const file = (sha256: string, path = "/a"): FileState => ({ path, sha256, executable: false });
const own = (state: FileState): LineageStep => ({ state, undone: true });
const others = (state: FileState): LineageStep => ({ state, undone: false });
const without = (steps: readonly LineageStep[]) => {
  const { state, text, kept } = withoutSession(steps, steps.at(-1)?.state ?? null, (sha256) => sha256);
  return { text: text ?? state?.sha256 ?? null, path: state?.path ?? null, kept };
};
const gone = { text: null, path: null, kept: null };

test.each<readonly [string, readonly LineageStep[], object]>([
  ["made", [own(file("x"))], gone],
  ["made, and made again after it was deleted", [own(file("x")), own(null), own(file("y"))], gone],
  ["changed", [others(file("x")), own(file("y")), own(file("z"))], { text: "x", path: "/a", kept: null }],
  ["deleted", [others(file("x")), own(null)], { text: "x", path: "/a", kept: null }],
  ["deleted, and others made it again", [others(file("x")), own(null), others(file("y"))], { text: "y", path: "/a" }],
  ["moved", [others(file("x")), own(file("x", "/b"))], { text: "x", path: "/a", kept: null }],
  [
    "moved, and others moved it on",
    [others(file("x")), own(file("x", "/b")), others(file("x", "/c"))],
    { text: "x", path: "/c", kept: null },
  ],
  [
    "moved, and others changed it",
    [others(file("x")), own(file("x", "/b")), others(file("y", "/b"))],
    { text: "y", path: "/a", kept: null },
  ],
  ["undone before", [others(file("x")), own(file("y")), others(file("x"))], { text: "x", path: "/a", kept: null }],
  [
    "changed around others",
    [
      others(file("1\n2\n3\n")),
      own(file("one\n2\n3\n")),
      others(file("one\n2\nthree\n")),
      own(file("ONE\n2\nthree\n")),
    ],
    { text: "1\n2\nthree\n", path: "/a", kept: null },
  ],
  [
    "changed where others did",
    [others(file("1\n")), own(file("2\n")), others(file("3\n"))],
    { text: "3\n", kept: "others have changed the same lines since" },
  ],
  ["made, and others deleted it", [own(file("x")), others(null)], gone],
])("what a session %s", (_what, steps, expected) => {
  expect(without(steps)).toMatchObject(expected);
});
