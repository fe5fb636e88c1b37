import assert from "node:assert/strict";
import { test } from "node:test";
import { printReceipt } from "../src/receipt.js";

test("printReceipt ends with the total", () => {
  const items = [
    { name: "tea", cents: 300 },
    { name: "cake", cents: 450 },
  ];
  assert.deepEqual(printReceipt(items, 20), ["tea 3.00", "cake 4.50", "total 9.00"]);
});
