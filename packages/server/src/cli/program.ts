import { Command, CommanderError } from 'commander'
import { settings } from '../config/settings.ts'
import { EXIT, exitCodeOf, kindOf } from '../exit-codes.ts'
import type { CommandContext } from './context.ts'
import { withDashedIdLast } from './dashed-id.ts'
import { doctor } from './doctor-command.ts'
import { runGateway, type Signals } from './gateway-command.ts'
import { list } from './list-command.ts'
import { migrate } from './migrate-command.ts'
import { printable } from './printable.ts'
import { resolve } from './resolve-command.ts'
import { show } from './show-command.ts'

/**
 * Runs one command line and answers its exit code. An error is one line on stderr that names the mend; with `--json` it
 * is `{"error":{…}}`.
 *
 * @param args - What follows the program's name.
 */
export async function run(
  args: readonly string[],
  context: CommandContext,
  signals: Signals,
  version: string,
): Promise<number> {
  let code: number = EXIT.ok
  const json = args.slice(0, args.includes('--') ? args.indexOf('--') : undefined).includes('--json')
  const report = (exitCode: number, text: string): void => {
    const message = oneLine(text)
    context.err(
      json
        ? `${JSON.stringify({ error: { kind: kindOf(exitCode), exitCode, message } })}\n`
        : `onceward: ${message}\n`,
    )
  }
  const program = new Command('onceward')
    .description('Makes an operation take effect once: the gateway, and the operator’s commands.')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.out(text),
      writeErr: (text) => context.err(text),
      // What is wrong and what was probably meant come in two lines; a person or a log wants one.
      outputError: (text) => report(EXIT.usage, text.replace(/^error: /, '')),
    })
  const storeCommand = (name: string, about: string): Command =>
    program
      .command(name)
      .description(about)
      .option(
        '--store <url>',
        'sqlite:FILE, redis://…, postgres://… or mysql://…; default: ONCEWARD_STORE, the config file, sqlite:.onceward/onceward.sqlite',
      )
      .option('--config <file>', 'read the store from this file')
      .option('--encryption-key-file <file>', 'the keys that stored outcomes are sealed with')
      .option('--json', 'print JSON')

  const gateway = program.command('gateway').description('run the gateway before an HTTP service')
  for (const setting of settings()) {
    if (setting.flag === undefined) continue
    if (setting.kind === 'boolean') gateway.option(setting.flag, setting.about)
    else if (setting.kind === 'list') gateway.option(`${setting.flag} <item>`, setting.about, collect)
    else gateway.option(`${setting.flag} <${setting.kind === 'number' ? 'n' : 'text'}>`, setting.about)
  }
  gateway
    .option('--config <file>', 'read the configuration from this file instead of onceward.config.json')
    .option('--print-config', 'print the merged configuration and where each value comes from, and end')
    .action(async (flags: Record<string, unknown>) => {
      code = await runGateway(context, flags, signals)
    })

  storeCommand('ls', 'list operations, one a line: id, scope, key, state, attempt, fence, age')
    .option('--state <state>', 'running, done, held or released')
    .option('--scope <scope>', 'the scope as stored, or the caller alone')
    .option('--key-prefix <text>', 'operations whose key starts so')
    .option('--limit <n>', 'at most so many', '100')
    .action((options) => list(context, options))
  storeCommand('show', 'tell everything about one operation but the bytes of its outcome')
    .argument('<id>', 'the id, or a beginning that only one has')
    .action((id: string, options) => show(context, id, options))
  storeCommand('resolve', 'decide a held operation; audited')
    .argument('<id>', 'the id, or a beginning that only one has')
    .requiredOption('--as <decision>', 'done, failed or release (nothing happened: it may run again)')
    .requiredOption('--reason <text>', 'why, for the audit')
    .option('--actor <name>', 'who decides; default: $USER')
    .option('--fence <n>', 'the fence you have seen; another one is a conflict. Default: the one found now')
    .option('--status <n>', 'with --as done: the status duplicates get')
    .option('--body-file <file>', 'with --as done: the body duplicates get')
    .option('--header <field>', 'with --as done: "Name: value", repeatable', collect)
    .option('--value <json>', 'with --as done, for operations of the library: the value duplicates get')
    .action((id: string, options) => resolve(context, id, options))
  storeCommand('doctor', 'look for what would weaken the guarantees')
    .option('--upstream <url>', 'see whether this service can be reached, too')
    .option('--cache <url>', 'see whether this Redis before a SQL store answers, too')
    .action(async (options) => {
      code = await doctor(context, options)
    })
  storeCommand('migrate', 'bring the schema up to date')
    .option('--dry-run', 'only tell what would be applied')
    .option('--sql', 'only print the SQL that would be run')
    .action((options) => migrate(context, options))

  try {
    await program.parseAsync([...withDashedIdLast(args)], { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    const message = error instanceof Error ? error.message : String(error)
    const exitCode = exitCodeOf(error)
    report(exitCode, message)
    return exitCode
  }
}

function oneLine(text: string): string {
  return printable(text.trim().replace(/\s*\n\s*/g, ' '))
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}
