/** Turns values into bytes and back. `decode(encode(v))` must equal `v` in value and type, as a fresh copy. */
export interface Codec {
  /** @throws `TypeError` naming the path of a value that cannot be stored faithfully. */
  encode(value: unknown): Uint8Array
  /** @throws `TypeError` for bytes that `encode` did not make. */
  decode(bytes: Uint8Array): unknown
}

/** Thrown by `encode` for a value that cannot be stored, with what can still be told about it. */
export class Unstorable extends TypeError {
  /** Encoded by the same codec; handed to duplicates as the `value` of `OUTCOME_NOT_REPLAYABLE`. */
  readonly note?: Uint8Array

  constructor(message: string, note?: Uint8Array) {
    super(message)
    if (note !== undefined) this.note = note
  }
}
