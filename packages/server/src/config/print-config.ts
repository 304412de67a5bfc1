import type { Config } from './config-schema.ts'
import { DEFAULTS } from './gateway-options.ts'
import type { LoadedConfig } from './load-config.ts'

/** The merged configuration with the source of each value, secrets redacted, as `--print-config` prints it. */
export function printedConfig(loaded: LoadedConfig): Record<string, { value: unknown; source: string }> {
  const merged: Config = { ...DEFAULTS, ...loaded.config }
  const printed: Record<string, { value: unknown; source: string }> = {}
  for (const field of Object.keys(merged).sort()) {
    const value = merged[field as keyof Config]
    if (value === undefined) continue
    printed[field] = { value: redacted(field, value), source: loaded.sources[field] ?? 'default' }
  }
  return printed
}

/** Replaces the user part of a URL, where passwords are. */
export function withoutCredentials(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1[redacted]@')
}

function redacted(field: string, value: unknown): unknown {
  if (field === 'jwtSecret') return '[redacted]'
  if (typeof value === 'string') return withoutCredentials(value)
  if (Array.isArray(value)) return value.map((item) => redacted('', item))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, redacted(name, item)]))
  }
  return value
}
