import { expect, test } from "vitest";
import { readTestReport } from "./test-report.ts";

const tap = `check 1/1: src/a.js
TAP version 13
# Subtest: addTax rounds to the nearest cent
not ok 1 - addTax rounds to the nearest cent
  ---
  error: |-
    Expected values to be strictly equal:
    
    2398 !== 2399
    
  ...
# Subtest: splitBill loses no cent
ok 2 - splitBill loses no cent
1..2
# tests 2
# pass 1
# fail 1
# cancelled 0
`;

const spec = `✔ splitBill loses no cent (0.6ms)
✖ addTax rounds to the nearest cent (1.2ms)
ℹ tests 2
ℹ pass 1
ℹ fail 1

✖ failing tests:

test at test/money.test.js:15:1
✖ addTax rounds to the nearest cent (1.2ms)
  AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:

  2398 !== 2399
`;

test.each([
  ["tap", tap],
  ["spec", spec],
])("reads the %s form", (_form, output) => {
  expect(readTestReport(output)).toEqual({
    passed: 1,
    failed: 1,
    failures: ["addTax rounds to the nearest cent"],
    difference: { actual: 2398, expected: 2399 },
  });
});

test("no summary is no report", () => {
  expect(readTestReport("sh: node: not found")).toBeNull();
  expect(readTestReport("ℹ pass 3\n")).toBeNull();
  expect(readTestReport("# pass 3\n# fail 0\n")).toEqual({ passed: 3, failed: 0, failures: [], difference: null });
});
