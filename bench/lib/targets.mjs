import { table } from './report.mjs'

/**
 * A goal that was set before anything was built, and what was measured.
 *
 * @typedef {{ what: string, atLeast: number, measured: number | undefined }} Target
 */

/**
 * Writes which targets are met.
 *
 * @param {readonly Target[]} targets Ratios to the first contestant within a round.
 */
export function targetsPart(targets) {
  const rows = targets.map(({ what, atLeast, measured }) => [
    what,
    `${atLeast.toFixed(2)} ×`,
    measured === undefined || Number.isNaN(measured) ? 'not measured' : `${measured.toFixed(2)} ×`,
    verdict(atLeast, measured),
  ])
  return ['## Targets', table(['target', 'at least', 'measured', ''], rows)].join('\n\n')
}

/** @param {number} atLeast @param {number | undefined} measured */
function verdict(atLeast, measured) {
  if (measured === undefined || Number.isNaN(measured)) return ''
  return measured >= atLeast ? 'met' : 'missed'
}
