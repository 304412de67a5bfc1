import { type Config, configSchema } from './config-schema.ts'

/** One field of the configuration that can also be given as a flag or in the environment. */
export interface Setting {
  readonly field: keyof Config
  /** `--port`. Absent for secrets, which the process list would show. */
  readonly flag?: string
  /** `ONCEWARD_PORT`. */
  readonly variable: string
  readonly kind: 'text' | 'number' | 'boolean' | 'list'
  readonly about: string
}

/** A valibot schema, as far as it is looked into here. */
export interface SchemaNode {
  readonly type: string
  readonly entries?: Readonly<Record<string, SchemaNode>>
  readonly wrapped?: SchemaNode
  readonly item?: SchemaNode
  readonly options?: readonly (SchemaNode | string)[]
  readonly pipe?: readonly (SchemaNode & { readonly requirement?: unknown; readonly description?: string })[]
}

/** The settings, read off the schema, so that a new field has its flag and its variable at once. */
export function settings(): readonly Setting[] {
  const entries = (configSchema as unknown as SchemaNode).entries ?? {}
  const found: Setting[] = []
  for (const [field, node] of Object.entries(entries)) {
    if (field === '$schema' || field === 'routes') continue
    const inner = unwrapped(node)
    found.push({
      field: field as keyof Config,
      ...(field === 'jwtSecret' ? {} : { flag: `--${words(field).join('-')}` }),
      variable: `ONCEWARD_${words(field).join('_').toUpperCase()}`,
      kind:
        inner.type === 'number'
          ? 'number'
          : inner.type === 'boolean'
            ? 'boolean'
            : inner.type === 'array'
              ? 'list'
              : 'text',
      about: descriptionOf(node),
    })
  }
  return found
}

/** The schema inside `optional`. */
export function unwrapped(node: SchemaNode): SchemaNode {
  return node.type === 'optional' && node.wrapped ? unwrapped(node.wrapped) : node
}

/** What the schema says about itself. */
export function descriptionOf(node: SchemaNode): string {
  return unwrapped(node).pipe?.find((action) => action.type === 'description')?.description ?? ''
}

function words(field: string): string[] {
  return field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).split('-')
}
