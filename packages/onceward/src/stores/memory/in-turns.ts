import { nextTurn } from '../../core/next-turn.ts'

/** So many entries are looked at in one turn of the event loop, as many as one purge removes: whoever purges on and on is no hindrance. */
const TURN = 1000

/**
 * Goes through the entries of a map until `most` of them were acted on; answers how many were. Others have their turns meanwhile,
 * and may change the map: `act` judges each entry as it is then.
 */
export async function actInTurns<T>(
  entries: Iterable<T>,
  most: number,
  act: (entry: T) => boolean,
): Promise<number> {
  let acted = 0
  let looked = 0
  for (const entry of entries) {
    if (acted === most) break
    if (act(entry)) acted++
    if (++looked % TURN === 0) await nextTurn()
  }
  return acted
}
