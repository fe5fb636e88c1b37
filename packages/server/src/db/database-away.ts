/** Tells a database that does not answer from a fault of ours. Pure. @module */

const codes = /^(08...|57P0[123]|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT)$/;
/** The driver's own words where it has no code: for connections that broke, were already broken, or never opened. */
const words =
  /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect)/;

/**
 * Whether the database refused, broke or shut down a connection: class 08 and 57P01 to 57P03 of its error codes
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html), the system's own, and the driver's.
 * @example isDatabaseAway(new Error("Connection terminated unexpectedly")) // true
 */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ("code" in error && codes.test(String(error.code))) || words.test(error.message);
}
