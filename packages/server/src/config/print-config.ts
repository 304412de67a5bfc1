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
 * has put that; what stands in place of a port and is none; and parameters that are called after a secret. What is no
 * URL because somebody has mistyped it is treated alike. File names of SQLite stay.
 */
export function withoutCredentials(url: string): string {
  if (/^sqlite:(?!\/\/[^/])/i.test(url)) return url
  return url
    .replace(
      /^([a-z][a-z0-9+.-]*:(?:\/\/)?)?.*@/is,
      (_, scheme: string | undefined) => `${scheme ?? ''}[redacted]@`,
    )
    .replace(
      /^("?[a-z][a-z0-9+.-]*:\/\/)([^/?#@]*)/i,
      (_, scheme: string, hosts: string) => scheme + portsOf(hosts),
    )
    .replace(/([?&][^=&]*(?:pass|pwd|secret|token|key|auth|cred)[^=&]*=)[^&]*/gi, '$1[redacted]')
}

/** Leaves only digits where a port belongs: who has forgotten the host has written a password there. */
function portsOf(hosts: string): string {
  return hosts
    .split(',')
    .map((host) => host.replace(/^([^:[]*:)(?!\d{1,5}"?$).+/s, '$1[redacted]'))
    .join(',')
}

/** Fields that hold a URL. */
const URLS: ReadonlySet<string> = new Set(['store', 'cache', 'upstream', 'reconcile'])

/** What a field holds, as it may be shown. */
export function shownValue(field: string, value: string): string {
  return URLS.has(field) || /^[a-z][a-z0-9+.-]*:/i.test(value) ? withoutCredentials(value) : value
}

function redacted(field: string, value: unknown): unknown {
  if (field === 'jwtSecret') return '[redacted]'
  if (typeof value === 'string') return shownValue(field, value)
  if (Array.isArray(value)) return value.map((item) => redacted('', item))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, redacted(name, item)]))
  }
  return value
}
