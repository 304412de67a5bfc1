import { type DestinationStream, type Logger, pino } from 'pino'
import { lineWriter } from './line-writer.ts'

/** The logger of the gateway, and how to bring its last lines out. */
export interface GatewayLog {
  readonly log: Logger
  flush(): void
}

/** How many bytes wait for a reader of stderr before lines are dropped: a full pipe must not stop payments. */
const MAX_WAITING_BYTES = 1_048_576

/** Logs JSON lines to stderr. stdout is left to the one line that says where the gateway listens. */
export function createLog(level: string, stream?: DestinationStream): GatewayLog {
  const options = { level, base: { service: 'onceward' }, timestamp: pino.stdTimeFunctions.isoTime }
  if (stream) return { log: pino(options, stream), flush: () => {} }
  const stderr = lineWriter(2, MAX_WAITING_BYTES)
  return { log: pino(options, stderr), flush: () => stderr.flush() }
}
