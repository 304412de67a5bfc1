/** The part of `fetch` that is used: the global one, or one of the caller's with certificates of its own. */
export type EtcdFetch = (url: string, init: EtcdRequestInit) => Promise<EtcdResponse>

/** What a call hands to {@link EtcdFetch}. */
export interface EtcdRequestInit {
  readonly method: 'GET' | 'POST'
  readonly headers: Record<string, string>
  readonly body?: string
  readonly redirect: 'error'
  readonly signal: AbortSignal
}

/** What is read of a response. */
export interface EtcdResponse {
  readonly status: number
  text(): Promise<string>
  readonly body: AsyncIterable<Uint8Array> | null
}

/** A JSON object of the gateway. 64-bit numbers are texts, and what is zero, false or empty is left out. */
export type EtcdJson = Readonly<Record<string, unknown>>

/** Reads JSON; nothing for what is no JSON object. */
export function jsonOf(text: string): EtcdJson | undefined {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === 'object' && json !== null ? (json as EtcdJson) : undefined
  } catch {
    return undefined
  }
}

/** The object in a field; an empty one where it was left out. */
export function objectIn(json: EtcdJson, field: string): EtcdJson {
  const value = json[field]
  return typeof value === 'object' && value !== null ? (value as EtcdJson) : {}
}

/** The list of objects in a field; an empty one where it was left out. */
export function listIn(json: EtcdJson, field: string): readonly EtcdJson[] {
  const value = json[field]
  return Array.isArray(value) ? value : []
}

/** A 64-bit number in a field as a number; 0 where it was left out. */
export function numberIn(json: EtcdJson, field: string): number {
  return Number(json[field] ?? 0)
}
