/** Lets whatever else waits in this process have its turn: for work over very many things, now and then. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
