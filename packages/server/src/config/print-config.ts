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

/**
 * Replaces what in a URL may be a secret: all that stands before its last `@`, wherever a password with unescaped signs
 * has put that, and parameters that are called after a secret. File names of SQLite stay.
 */
export function withoutCredentials(url: string): string {
  if (/^sqlite:/i.test(url)) return url
  return url
    .replace(/^([a-z][a-z0-9+.-]*:(?:\/\/)?).*@/is, '$1[redacted]@')
    .replace(/([?&][^=&]*(?:pass|pwd|secret|token)[^=&]*=)[^&]*/gi, '$1[redacted]')
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
