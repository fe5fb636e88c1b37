/** Amounts are whole cents, so that sums are exact. Fractions of a cent are rounded to the nearest one. */

/** "12.30" becomes 1230. */
export function parseAmount(text) {
  const match = /^(\d+)(?:\.(\d{2}))?$/.exec(text);
  if (match === null) throw new Error(`Not an amount: ${text}`);
  return Number(match[1]) * 100 + Number(match[2] ?? 0);
}

/** 1230 becomes "12.30". */
export function formatAmount(cents) {
  const whole = Math.floor(cents / 100);
  return `${whole}.${String(cents % 100).padStart(2, "0")}`;
}

/** The amount with tax of so many percent. */
export function addTax(cents, percent) {
  const tax = Math.floor((cents * percent) / 100);
  return cents + tax;
}

/** Shares of a bill; the first ones pay what does not divide. */
export function splitBill(cents, people) {
  const share = Math.floor(cents / people);
  const rest = cents - share * people;
  return Array.from({ length: people }, (_, index) => share + (index < rest ? 1 : 0));
}
