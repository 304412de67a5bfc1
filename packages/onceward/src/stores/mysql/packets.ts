import { OncewardError } from '../../core/errors.ts'
import { asciiJson } from '../../drivers/mysql/index.ts'

/** One row for a statement: its fields, and its bytes. */
export interface Packet {
  readonly fields: readonly (string | number | null)[]
  readonly payload: Uint8Array | null
}

/** The rows of one statement. */
export interface Packed {
  /** A list for each row. It ends with where the bytes of the row begin in `payload` (from 1), and how many they are. */
  readonly json: string
  readonly payload: Uint8Array
  /** How many. */
  readonly rows: number
}

/** What a statement may hold in bytes, in the usual case: large ones keep the server and others waiting. */
const USUAL_BYTES = 1024 * 1024

/** What the protocol adds around parameters, generously. */
const FRAME_BYTES = 4096

/** What fits the columns `owner` and `fingerprint`. */
const MAX_TEXT_CHARS = 255

/**
 * Packs rows into as few statements as are reasonable, in their order.
 *
 * @param maxPacket - The most bytes that the server takes at once (`max_allowed_packet`).
 * @throws `STORE_FULL` for a row that alone is larger.
 */
export function inPackets(rows: readonly Packet[], maxPacket: number): readonly Packed[] {
  const packets: Packed[] = []
  let fields: (readonly (string | number | null)[])[] = []
  let payload: Uint8Array[] = []
  let offset = 0
  let bytes = 0
  const close = () => {
    if (fields.length === 0) return
    const json = asciiJson(fields)
    assertSize(json.length + offset, maxPacket)
    packets.push({
      json,
      payload: payload.length === 1 ? (payload[0] ?? EMPTY) : Buffer.concat(payload),
      rows: fields.length,
    })
    fields = []
    payload = []
    offset = 0
    bytes = 0
  }
  for (const row of rows) {
    const size = sizeOf(row)
    if (bytes + size > Math.min(USUAL_BYTES, maxPacket / 2)) close()
    fields.push([...row.fields, offset + 1, row.payload === null ? null : row.payload.length])
    bytes += size
    if (row.payload === null || row.payload.length === 0) continue
    payload.push(row.payload)
    offset += row.payload.length
  }
  close()
  return packets
}

const EMPTY = new Uint8Array(0)

/** About how many bytes a row takes. */
function sizeOf({ fields, payload }: Packet): number {
  let size = payload?.length ?? 0
  for (const field of fields) size += typeof field === 'string' ? field.length + 3 : 8
  return size
}

/** Refuses what is too large for one statement. @throws `STORE_FULL`. */
export function assertSize(bytes: number, maxPacket: number): void {
  if (bytes + FRAME_BYTES <= maxPacket) return
  throw new OncewardError(
    'STORE_FULL',
    `a record of ${bytes} bytes is larger than max_allowed_packet of the server (${maxPacket}); raise that, or store less`,
    { effect: 'none' },
  )
}

/** Refuses text that its column would cut off. */
export function assertFits(name: string, text: string | null | undefined): void {
  if (text === null || text === undefined || text.length <= MAX_TEXT_CHARS) return
  throw new TypeError(`${name} has ${text.length} characters, the most is ${MAX_TEXT_CHARS}`)
}
