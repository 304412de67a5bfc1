import type { RedisArgument } from '../drivers/redis/redis-link.ts'
import { CONNECTION_COMMANDS, ONCE_COMMANDS } from './other-commands.ts'
import { READ_COMMANDS } from './read-commands.ts'
import { OTHER_REPLY_COMMANDS, SAME_COMMANDS, UNREPEATABLE_COMMANDS } from './write-commands.ts'

/**
 * What a second execution of a command would do: nothing (`read`), the same again (`same`), the same state with
 * `another-reply`, something else (`unrepeatable`); or why that is not asked: it is sent `once`, or would change what the
 * `connection` is.
 */
export type CommandClass = 'read' | 'same' | 'another-reply' | 'unrepeatable' | 'once' | 'connection'

/** A row of the table. */
export interface CommandEntry {
  /** In capitals; a subcommand after a bar: `XGROUP|CREATE`. */
  readonly name: string
  /** The same for people: `XGROUP CREATE`. */
  readonly label: string
  readonly class: CommandClass
  /**
   * Where the keys are among the words, the name being word 0: `1`, `1,2`, `1..-1`, `1..-1/2` (every second), `#2` (as
   * many as word 2 says, after it), `1+#2`, `streams`, `sort` (word 1 and what follows `STORE`), `-` (none).
   */
  readonly keys: string
  /** The keys among the words of a command. What does not fit the command answers fewer; the server will refuse it. */
  keysOf(words: readonly RedisArgument[]): readonly RedisArgument[]
  /** How RESP 3 shapes the reply; for commands that wait where the time is, and its unit; `alone`. Empty for most. */
  readonly note: string
}

/** All commands that are known. */
export interface CommandTable {
  readonly entries: readonly CommandEntry[]
  /** The row of a command; nothing for one that is not known. */
  find(words: readonly RedisArgument[]): CommandEntry | undefined
}

const GROUPS: readonly (readonly [CommandClass, string])[] = [
  ['read', READ_COMMANDS],
  ['same', SAME_COMMANDS],
  ['another-reply', OTHER_REPLY_COMMANDS],
  ['unrepeatable', UNREPEATABLE_COMMANDS],
  ['once', ONCE_COMMANDS],
  ['connection', CONNECTION_COMMANDS],
]

/** Reads the table. */
export function commandTable(): CommandTable {
  const byName = new Map<string, CommandEntry>()
  const containers = new Set<string>()
  for (const [kind, text] of GROUPS) {
    for (const line of text.split('\n')) {
      const [name = '', keys = '-', note = ''] = line.trim().split(/ +/)
      if (name === '') continue
      byName.set(name, {
        name,
        label: name.replace('|', ' '),
        class: kind,
        keys,
        keysOf: keyFinder(keys),
        note,
      })
      if (name.includes('|')) containers.add(name.slice(0, name.indexOf('|')))
    }
  }
  return {
    entries: [...byName.values()],
    find(words) {
      const name = String(words[0]).toUpperCase()
      if (!containers.has(name) || words.length < 2) return byName.get(name)
      return byName.get(`${name}|${String(words[1]).toUpperCase()}`)
    },
  }
}

/** Makes the function that finds keys as `spec` says. */
function keyFinder(spec: string): CommandEntry['keysOf'] {
  if (spec === '-') return () => []
  if (spec === '1') return (words) => words.slice(1, 2)
  if (spec === 'streams') return streamKeys
  if (spec === 'sort') return sortKeys
  const parts = spec.split(/[,+]/).map(partFinder)
  return (words) => parts.flatMap((find) => find(words))
}

function partFinder(part: string): CommandEntry['keysOf'] {
  const [range = '', every = '1'] = part.split('/')
  const step = Number(every)
  if (range.startsWith('#')) {
    const at = Number(range.slice(1))
    return (words) => everyNth(words.slice(at + 1, at + 1 + Number(words[at]) * step), step)
  }
  const [first = 0, last = first] = range.split('..').map(Number)
  return (words) => everyNth(words.slice(first, (last < 0 ? words.length + last : last) + 1), step)
}

/** Whether a second execution of these very words leaves the same state and answers the same. */
export function repeatsAsIt(entry: CommandEntry, words: readonly RedisArgument[]): boolean {
  if (entry.class !== 'same') return false
  if (entry.name === 'SET') return words.slice(3).every((word, at, all) => isTimeless(word, all[at - 1]))
  // What it sorts by, or gets, can be what it has stored.
  if (entry.name === 'SORT' && words.some((word, at) => at > 1 && /^(?:BY|GET)$/i.test(String(word))))
    return false
  // A time that has passed deletes the key, and then there is none.
  if (/EXPIREAT$/.test(entry.name)) return false
  // A destination among the sources is changed again by a second execution.
  const keys = entry.keysOf(words).map(String)
  return new Set(keys).size === keys.length
}

/** Options of `SET` that neither ask for what was there nor count a time from now. */
function isTimeless(word: RedisArgument, before: RedisArgument | undefined): boolean {
  const option = String(word).toUpperCase()
  return /^(?:KEEPTTL|EXAT|PXAT)$/.test(option) || /^(?:EXAT|PXAT)$/i.test(String(before ?? ''))
}

function everyNth(words: readonly RedisArgument[], step: number): readonly RedisArgument[] {
  return step === 1 ? words : words.filter((_, place) => place % step === 0)
}

/** How many words follow an option of `XREAD` and `XREADGROUP`. Groups, consumers and streams may be called like options. */
const STREAM_OPTIONS: ReadonlyMap<string, number> = new Map([
  ['GROUP', 2],
  ['COUNT', 1],
  ['BLOCK', 1],
])

/** Where an option of `XREAD` or `XREADGROUP` is; -1 for nowhere. */
function streamOptionAt(words: readonly RedisArgument[], option: 'STREAMS' | 'BLOCK'): number {
  for (let at = 1; at < words.length; at++) {
    const word = String(words[at]).toUpperCase()
    if (word === option) return at
    if (word === 'STREAMS') return -1
    at += STREAM_OPTIONS.get(word) ?? 0
  }
  return -1
}

function streamKeys(words: readonly RedisArgument[]): readonly RedisArgument[] {
  const at = streamOptionAt(words, 'STREAMS')
  return at < 0 ? [] : words.slice(at + 1, at + 1 + Math.floor((words.length - at - 1) / 2))
}

function sortKeys(words: readonly RedisArgument[]): readonly RedisArgument[] {
  const stored = words.flatMap((word, at) => {
    const target = at > 1 && /^STORE(?:DIST)?$/i.test(String(word)) ? words[at + 1] : undefined
    return target === undefined ? [] : [target]
  })
  return [...words.slice(1, 2), ...stored]
}

/** How long a waiting command may wait by its own words, in ms; nothing for one that does not wait. `Infinity` for ever. */
export function waitsMs(
  entry: CommandEntry | undefined,
  words: readonly RedisArgument[],
): number | undefined {
  if (entry?.keys === 'streams') {
    const at = streamOptionAt(words, 'BLOCK')
    return at < 0 ? undefined : forEver(Number(words[at + 1]))
  }
  const [place, unit] = entry?.class === 'once' ? entry.note.split(':') : []
  if (place === undefined || place === '') return undefined
  const given = Number(words[place === 'last' ? words.length - 1 : Number(place)])
  return forEver(unit === 's' ? given * 1000 : given)
}

function forEver(ms: number): number {
  return ms === 0 || Number.isNaN(ms) ? Infinity : Math.max(0, ms)
}
