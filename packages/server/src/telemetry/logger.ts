/**
 * The log: one JSON object a line on standard error, through pino. Known secret fields are redacted wherever they stand
 * near the top of an object, and no control character reaches the terminal.
 * @module
 */
import { type DestinationStream, destination, pino, stdSerializers } from "pino";

/** What the server needs of a log; pino's own logger is one. */
export interface Logger {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export const logLevels = ["silent", "error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof logLevels)[number];

const secretFields = [
  "password",
  "secret",
  "token",
  "apiKey",
  "api_key",
  "authorization",
  "cookie",
  "x-api-key",
  "connectionString",
  "databaseUrl",
  "DATABASE_URL",
  "ANTHROPIC_API_KEY",
  "OPENAI_API_KEY",
];
const redactedPaths = secretFields.flatMap((field) => {
  const key = `["${field}"]`;
  return [key, `*${key}`, `*.*${key}`];
});

/** `user:password@` in any address, as in messages of database drivers. */
const addressPassword = /([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:)[^\s@/]+@/gi;
/** Our own API keys. */
const ownKey = /\bexo_[0-9a-z]{8,}/gi;
/**
 * DEL, C1 control characters, and the marks that reorder or hide text: JSON leaves them as they are, a terminal or a
 * reader may act on them. JSON itself escapes U+0000 to U+001F.
 */
const dangerousCharacters = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** One line of log as it may be written. Exported for its test. */
export function cleanLine(line: string): string {
  return line
    .replace(addressPassword, "$1[redacted]@")
    .replace(ownKey, "exo_[redacted]")
    .replace(dangerousCharacters, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * @param output Where lines go; standard error unless a test asks otherwise.
 * @example createLogger("info").info({ session: "sesn_1" }, "turn started")
 */
export function createLogger(level: LogLevel, output: { write(line: string): unknown } = standardError()): Logger {
  const cleaned: DestinationStream = { write: (line: string) => void output.write(cleanLine(line)) };
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redactedPaths, censor: "[redacted]" },
      serializers: { error: stdSerializers.err },
    },
    cleaned,
  );
}

function standardError(): { write(line: string): unknown } {
  // Synchronous: a line written just before a crash is not lost.
  return destination({ fd: 2, sync: true });
}
