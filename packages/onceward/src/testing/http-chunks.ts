/** Chunks one by one, with a turn of the event loop between; `end` is written once `before` is open. */
export async function* chunks(
  parts: readonly Uint8Array[],
  before?: Promise<void>,
): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    yield part
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  if (before === undefined) return
  await before
  yield Buffer.from('end')
}
