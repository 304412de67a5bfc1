import { readFile } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import * as v from 'valibot'
import { CommandError, EXIT, usageError } from '../exit-codes.ts'
import { type Config, configSchema } from './config-schema.ts'
import { describeIssue } from './describe-issue.ts'
import { shownValue } from './print-config.ts'
import { type Setting, settings } from './settings.ts'

/** Where a configuration comes from. */
export interface ConfigSources {
  /** What the flags gave: texts, lists of texts and `true`, by field. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The folder relative paths start from. */
  readonly folder: string
  /** The file named by `--config`. Without it `onceward.config.json` is read if it is there. */
  readonly file?: string
}

/** A configuration before defaults, and where each field came from. */
export interface LoadedConfig {
  readonly config: Config
  readonly sources: Readonly<Record<string, string>>
}

/** The file that is read without being named. */
export const DEFAULT_CONFIG_FILE = 'onceward.config.json'

/**
 * Merges flags over environment over file.
 *
 * @throws `CommandError` (usage) that names the flag, variable or field, what is wrong with it, and the nearest known
 *   name of an unknown one.
 */
export async function loadConfig(sources: ConfigSources): Promise<LoadedConfig> {
  const named = sources.file ?? sources.environment['ONCEWARD_CONFIG']
  const path = named ?? DEFAULT_CONFIG_FILE
  const fromFile = await readConfigFile(
    isAbsolute(path) ? path : resolve(sources.folder, path),
    path,
    named !== undefined,
  )
  const config: Record<string, unknown> = {}
  const origins: Record<string, string> = {}
  const put = (field: string, value: unknown, origin: string) => {
    config[field] = value
    origins[field] = origin
  }
  for (const [field, value] of Object.entries(fromFile ?? {})) put(field, value, path)
  for (const setting of settings()) {
    const variable = sources.environment[setting.variable]
    if (variable !== undefined && variable !== '') {
      put(setting.field, checked(setting, fromText(setting, variable), setting.variable), setting.variable)
    }
    const flag = sources.flags[setting.field]
    if (flag !== undefined && setting.flag !== undefined) {
      const value = typeof flag === 'string' ? fromText(setting, flag) : flag
      put(setting.field, checked(setting, value, setting.flag), setting.flag)
    }
  }
  return { config: config as Config, sources: origins }
}

async function readConfigFile(path: string, shown: string, mustExist: boolean): Promise<Config | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (!mustExist && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : String(error)
    throw usageError(`${shown}: cannot be read (${reason}); check --config`)
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new CommandError(EXIT.usage, `${shown}: is not JSON: ${(error as Error).message}`)
  }
  if (Array.isArray(json)) throw usageError(`${shown}: give an object`)
  const result = v.safeParse(configSchema, json, { abortEarly: true })
  if (!result.success) throw usageError(`${shown}: ${describeIssue(result.issues[0])}`)
  const nameless = (result.output.routes ?? []).findIndex((route) => route.failOpen && !route.name)
  if (nameless >= 0) {
    throw usageError(
      `${shown}: routes[${nameless}].failOpen needs a name on the route: it runs unprotected while the store is down`,
    )
  }
  return result.output
}

/** Reads text as what the setting is; text that is not stays text, so that the schema can say what is wrong with it. */
function fromText(setting: Setting, text: string): unknown {
  switch (setting.kind) {
    case 'number':
      return /^\d{1,15}$/.test(text.trim()) ? Number(text) : text
    case 'boolean':
      return /^(?:true|1|yes)$/i.test(text) ? true : /^(?:false|0|no)$/i.test(text) ? false : text
    case 'list':
      return text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '')
    case 'text':
      return text
  }
}

function checked(setting: Setting, value: unknown, origin: string): unknown {
  const result = v.safeParse(configSchema, { [setting.field]: value }, { abortEarly: true })
  if (!result.success)
    throw usageError(`${origin}: ${result.issues[0].message}, not ${shown(setting.field, value)}`)
  return value
}

function shown(field: string, value: unknown): string {
  const safe = typeof value === 'string' ? shownValue(field, value) : value
  const text = JSON.stringify(safe) ?? String(safe)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}
