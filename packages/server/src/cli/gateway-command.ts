import { gatewayOptions } from '../config/gateway-options.ts'
import { type LoadedConfig, loadConfig } from '../config/load-config.ts'
import { printedConfig } from '../config/print-config.ts'
import { unknownVariables } from '../config/unknown-variables.ts'
import { CommandError, EXIT } from '../exit-codes.ts'
import { createLog } from '../gateway/gateway-log.ts'
import { startGateway } from '../gateway/start-gateway.ts'
import type { CommandContext } from './context.ts'

/** The signals that end a gateway, and how a command is told of them. */
export interface Signals {
  /** Calls back for each signal, the second and later ones too. */
  onStop(callback: () => void): void
  /** Ends the process at once. */
  exitNow(code: number): void
}

/** `onceward gateway`: runs until it is told to stop; answers the exit code. */
export async function runGateway(
  context: CommandContext,
  flags: Readonly<Record<string, unknown>>,
  signals: Signals,
): Promise<number> {
  const { config: file, printConfig, ...rest } = flags
  const loaded = await loadConfig({
    flags: rest,
    environment: context.environment,
    folder: context.folder,
    ...(typeof file === 'string' ? { file } : {}),
  })
  if (printConfig === true) {
    context.out(`${JSON.stringify(printedConfig(loaded), null, 2)}\n`)
    return EXIT.ok
  }
  const options = await namingFile(loaded, () => gatewayOptions(loaded))
  const log = createLog(options.logLevel)
  for (const { variable, meant } of unknownVariables(context.environment)) {
    log.log.warn(
      { variable, ...(meant === undefined ? {} : { meant }) },
      `${variable} is not a setting and changes nothing${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    )
  }
  let stopAsked: () => void = () => {}
  const stopped = new Promise<void>((resolve) => {
    stopAsked = resolve
  })
  let asked = 0
  // Told before the start, so that a signal during it is not lost.
  signals.onStop(() => {
    asked++
    if (asked > 1) signals.exitNow(EXIT.failure)
    stopAsked()
  })
  const gateway = await namingFile(loaded, () => startGateway(options, log))
  context.out(`onceward gateway listening on ${gateway.url}\n`)
  await stopped
  return (await gateway.stop()) ? EXIT.ok : EXIT.failure
}

/** Routes come from the file alone: what is wrong with one is told with the file it stands in. */
async function namingFile<T>({ sources }: LoadedConfig, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const file = sources['routes']
    if (!(error instanceof CommandError) || file === undefined || !error.message.startsWith('route '))
      throw error
    throw new CommandError(error.exitCode, `${file}: ${error.message}`, { cause: error })
  }
}
