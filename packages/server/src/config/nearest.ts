/** The name nearest to `wanted`, if one is near enough to be what was meant: at most a third of its letters differ. */
export function nearest(wanted: string, names: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(wanted.length / 3)) + 1
  for (const name of names) {
    if (name.toLowerCase() === wanted.toLowerCase()) return name
    const far = distance(wanted.toLowerCase(), name.toLowerCase(), bestDistance)
    if (far < bestDistance) {
      bestDistance = far
      best = name
    }
  }
  return best
}

/** Edits from `a` to `b`: insert, delete, replace. Names longer than 64 characters are not compared. */
function distance(a: string, b: string, tooFar: number): number {
  if (a.length > 64 || Math.abs(a.length - b.length) >= tooFar) return tooFar
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? tooFar
}
