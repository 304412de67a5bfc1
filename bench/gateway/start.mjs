import { fileURLToPath } from 'node:url'
import { Child } from '../lib/child.mjs'

/** The service behind everything that is measured. */
export function startUpstream() {
  return Child.start([script('./upstream-server.mjs')])
}

/** @param {Child} upstream */
export function startPassThrough(upstream) {
  return Child.start([script('./pass-through-server.mjs'), upstream.url])
}

/** @param {Child} upstream @param {string} file */
export function startGateway(upstream, file) {
  return Child.start([
    script('../../packages/server/dist/cli/main.js'),
    'gateway',
    ...['--upstream', upstream.url, '--scope', 'public', '--store', `sqlite:${file}`],
    ...['--port', '0', '--admin-port', '0', '--log-level', 'error'],
  ])
}

/** @param {string} path */
function script(path) {
  return fileURLToPath(new URL(path, import.meta.url))
}
