/** Turns values into bytes and back. `decode(encode(v))` must equal `v` in value and type, as a fresh copy. */
export interface Codec {
  /** @throws `TypeError` naming the path of a value that cannot be stored faithfully. */
  encode(value: unknown): Uint8Array
  /** @throws `TypeError` for bytes that `encode` did not make. */
  decode(bytes: Uint8Array): unknown
}
