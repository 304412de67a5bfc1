import { nearest } from '../config/nearest.ts'
import { withoutCredentials } from '../config/print-config.ts'
import { usageError } from '../exit-codes.ts'

/** One server of a URL. */
export interface Host {
  readonly host: string
  /** Absent: the usual one. */
  readonly port?: number
}

/** The URL of a server, taken apart and decoded. */
export interface StoreUrl {
  readonly scheme: string
  /** At least one, unless the URL names none at all (`postgres:///app`). */
  readonly hosts: readonly Host[]
  readonly user?: string
  readonly password?: string
  /** What follows the hosts, without its first slash. */
  readonly path: string
  /** Reads a parameter. */
  parameter(name: string): string | undefined
  /** The URL without credentials, for messages. */
  readonly shown: string
  /** An error of usage about this URL. */
  wrong(what: string): Error
}

const PARTS = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?(#.*)?$/is

/**
 * Takes a URL of one or several servers apart: `scheme://user:password@host:port,host:port/path?name=value`.
 *
 * @param flag - Where it was given, for messages.
 * @param known - The parameters that mean something.
 * @throws `CommandError` (usage) that names what is wrong; never with the credentials.
 */
export function parseStoreUrl(flag: string, url: string, known: readonly string[]): StoreUrl {
  const shown = withoutCredentials(url)
  const wrong = (what: string): Error => usageError(`${flag} ${shown}: ${what}`)
  const [, scheme = '', authority = '', path = '', query = '', fragment] = PARTS.exec(url) ?? []
  if (scheme === '') throw wrong('is not a URL; write scheme://user:password@host:port/…')
  if (fragment !== undefined || `${path}?${query}`.includes('@'))
    throw wrong(
      'a user name, password or database with / ? # or @ in it must have them percent-encoded: %2F %3F %23 %40',
    )
  const at = authority.lastIndexOf('@')
  const [user, password] = at < 0 ? [] : credentials(authority.slice(0, at), wrong)
  const names = authority.slice(at + 1)
  const parameters = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(query)) {
    if (!known.includes(name)) throw wrong(unknownParameter(name, known))
    if (parameters.has(name)) throw wrong(`gives ${name} twice`)
    parameters.set(name, value)
  }
  return {
    scheme: scheme.toLowerCase(),
    hosts: names === '' ? [] : names.split(',').map((name) => hostOf(name, wrong)),
    ...(user === undefined || user === '' ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    path: decoded(path, wrong),
    parameter: (name) => parameters.get(name),
    shown,
    wrong,
  }
}

/** The one server that the URL must name. */
export function onlyHost({ hosts, wrong }: StoreUrl): Host {
  const [only] = hosts
  if (only === undefined || hosts.length > 1) throw wrong('name one server: host:port')
  return only
}

/** A parameter that is a whole number, within limits. */
export function numberOf(url: StoreUrl, name: string, least: number, most: number): number | undefined {
  const text = url.parameter(name)
  if (text === undefined) return undefined
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw url.wrong(`${name} must be a whole number from ${least} to ${most}`)
}

/** A parameter that is one of a few words. */
export function choiceOf<const Choice extends string>(
  url: StoreUrl,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  const text = url.parameter(name)
  if (text === undefined) return undefined
  const choice = choices.find((one) => one === text)
  if (choice === undefined) throw url.wrong(`${name} must be one of ${choices.join(', ')}`)
  return choice
}

function unknownParameter(name: string, known: readonly string[]): string {
  const meant = nearest(name, known)
  const mend = meant === undefined ? `known are ${known.join(', ')}` : `did you mean ${meant}?`
  return `${name} is not a known parameter; ${mend}`
}

function credentials(text: string, wrong: (what: string) => Error): [string, string | undefined] {
  const colon = text.indexOf(':')
  if (colon < 0) return [decoded(text, wrong), undefined]
  return [decoded(text.slice(0, colon), wrong), decoded(text.slice(colon + 1), wrong)]
}

function decoded(text: string, wrong: (what: string) => Error): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong('a % in it must be written %25')
  }
}

/** Without what was given, which may be a password. */
const NOT_A_HOST =
  'its host is not host:port; put an IPv6 address in [ ], and a user name and password before an @'

function hostOf(text: string, wrong: (what: string) => Error): Host {
  const [, inBrackets, plain, digits] =
    /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/i.exec(text) ?? []
  const host = inBrackets ?? plain
  if (host === undefined) throw wrong(text === '' ? 'a host is missing' : NOT_A_HOST)
  if (digits === undefined) return { host }
  const port = Number(digits)
  if (port < 1 || port > 65_535) throw wrong(`${digits} is not a port`)
  return { host, port }
}
