/**
 * The version of what the loop reads from a log and writes to it. Raised by hand, by one, with a change after which an
 * older worker would read a log wrongly, or leave a session without what wakes it: older workers then leave alone every
 * session that a newer one has driven, and the newer one wakes what they have left (`sessions/protocol-sweep.ts`).
 *
 * 2: a rest on an approval has an alarm for its end.
 * 3: a call that is left to a worker waits for its result.
 * @module
 */

export const loopProtocolVersion = 3;
