import { readFileSync } from 'node:fs'
import { run } from './program.ts'

// Node 22 warns that its SQLite is experimental, in two lines on the stderr of every command. It is what we test with;
// every other warning is printed, in one line.
process.removeAllListeners('warning')
process.on('warning', (warning) => {
  if (warning.name === 'ExperimentalWarning' && warning.message.startsWith('SQLite')) return
  process.stderr.write(`onceward: ${warning.name}: ${warning.message.replace(/\s*\n\s*/g, ' ')}\n`)
})

// A reader that has seen enough (`onceward ls | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
})

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

/** How long connections may take to close after the last word, in ms. */
const LINGER_MS = 3000

run(
  process.argv.slice(2),
  {
    environment: process.env,
    folder: process.cwd(),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
  },
  {
    onStop(callback) {
      process.on('SIGTERM', callback)
      process.on('SIGINT', callback)
    },
    exitNow: (code) => process.exit(code),
  },
  version,
).then(
  (code) => {
    process.exitCode = code
    // A connection that does not close must not keep a command that has ended.
    setTimeout(() => {
      process.stderr.write('onceward: a connection did not close in time; it is cut\n')
      process.exit()
    }, LINGER_MS).unref()
  },
  (error: unknown) => {
    process.stderr.write(`onceward: ${String(error)}\n`)
    process.exitCode = 1
  },
)
