import { nearest } from './nearest.ts'
import { settings } from './settings.ts'

/** What Kubernetes sets for a service that is called `onceward`; nobody has mistyped it. */
const SERVICE_LINK = /^ONCEWARD_(?:SERVICE_|PORT_\d+_)/

/** Lists the `ONCEWARD_…` variables that are no settings, each with the name that was probably meant. */
export function unknownVariables(
  environment: Readonly<Record<string, string | undefined>>,
): readonly { readonly variable: string; readonly meant: string | undefined }[] {
  const known = ['ONCEWARD_CONFIG', ...settings().map(({ variable }) => variable)]
  return Object.keys(environment)
    .filter((name) => name.startsWith('ONCEWARD_') && !known.includes(name) && !SERVICE_LINK.test(name))
    .map((variable) => ({ variable, meant: nearest(variable, known) }))
}
