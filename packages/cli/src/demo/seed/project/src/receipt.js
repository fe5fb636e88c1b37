import { addTax, formatAmount } from "./money.js";

/** Lines of a receipt: one per item, then the total with tax. */
export function printReceipt(items, taxPercent) {
  const total = items.reduce((sum, item) => sum + item.cents, 0);
  const lines = items.map((item) => `${item.name} ${formatAmount(item.cents)}`);
  return [...lines, `total ${formatAmount(addTax(total, taxPercent))}`];
}
