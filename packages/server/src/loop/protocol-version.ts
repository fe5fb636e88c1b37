/**
 * The version of what the loop reads from a log and writes to it. Raised by hand, by one, with a change after which an
 * older worker would read a log wrongly: older workers then leave alone every session that a newer one has driven.
 * @module
 */

export const loopProtocolVersion = 1;
