/** One row for each engine, version and source; a server that is missing has its reason. */
export function sumUpServers(uses) {
  const rows = new Map()
  for (const { engine, version = '', source = 'missing', missing } of uses) {
    const id = JSON.stringify([engine, version, source])
    const row = rows.get(id) ?? { engine, version, source, started: 0, missing }
    row.started += missing === undefined ? 1 : 0
    rows.set(id, row)
  }
  return [...rows.values()].sort((a, b) => (a.engine < b.engine ? -1 : 1))
}

/** The rows as text: engine, version, source, ran or skipped. */
export function serverTable(rows) {
  const cells = rows.map(({ engine, version, source, started, missing }) => [
    engine,
    version,
    source,
    missing === undefined
      ? `ran (${source === 'url' ? 'not ours' : `${started} started`})`
      : `skipped: ${missing}`,
  ])
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => row[column].length)))
  return cells
    .map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
    .join('\n')
}
