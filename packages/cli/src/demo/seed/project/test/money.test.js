import assert from "node:assert/strict";
import { test } from "node:test";
import { addTax, formatAmount, parseAmount, splitBill } from "../src/money.js";

test("parseAmount reads units and cents", () => {
  assert.equal(parseAmount("12.30"), 1230);
  assert.equal(parseAmount("7"), 700);
  assert.throws(() => parseAmount("12,30"));
});

test("formatAmount pads the cents", () => {
  assert.equal(formatAmount(1205), "12.05");
});

test("addTax rounds to the nearest cent", () => {
  assert.equal(addTax(1000, 20), 1200);
  assert.equal(addTax(1999, 20), 2399);
});

test("splitBill loses no cent", () => {
  assert.deepEqual(splitBill(1000, 3), [334, 333, 333]);
});
