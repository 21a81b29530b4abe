/**
 * The one logger: JSON lines on stderr, readable ones on a terminal. Nothing that is logged may hold a token or a body;
 * what is written here is checked for that by a test.
 */
import { type Logger, pino, stdSerializers } from "pino";
import pretty from "pino-pretty";

export type { Logger } from "pino";

const STDERR = 2;

export function createLog(level: string): Logger {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    serializers: { err: stdSerializers.errWithCause },
  };
  return process.stderr.isTTY
    ? pino(options, pretty({ destination: STDERR, sync: true, translateTime: "SYS:HH:MM:ss.l" }))
    : pino(options, pino.destination({ dest: STDERR, sync: false, minLength: 0 }));
}
