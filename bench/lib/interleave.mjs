/**
 * Runs every contestant once a round, in an order that rotates, so that a noisy neighbour hits all alike.
 *
 * @template Sample
 * @param {readonly string[]} names
 * @param {number} rounds
 * @param {(name: string, round: number) => Promise<Sample>} measure
 * @returns {Promise<Map<string, Sample[]>>} One sample a round for each, in the order of the rounds.
 */
export async function interleave(names, rounds, measure) {
  /** @type {Map<string, Sample[]>} */
  const samples = new Map(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (let place = 0; place < names.length; place += 1) {
      const name = /** @type {string} */ (names[(place + round) % names.length])
      samples.get(name)?.push(await measure(name, round))
    }
  }
  return samples
}
