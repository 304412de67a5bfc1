import { configSchema } from './config-schema.ts'
import { descriptionOf, type SchemaNode, unwrapped } from './settings.ts'

/** A JSON Schema, as far as it is used here. */
export type JsonSchema = { [keyword: string]: unknown }

/** The JSON Schema of `onceward.config.json`: the same rules that the gateway checks, for editors. */
export function configJsonSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'onceward.config.json',
    ...toJsonSchema(configSchema as unknown as SchemaNode),
  }
}

function toJsonSchema(node: SchemaNode): JsonSchema {
  const schema = unwrapped(node)
  const description = descriptionOf(node)
  return { ...shape(schema), ...limits(schema), ...(description === '' ? {} : { description }) }
}

function shape(schema: SchemaNode): JsonSchema {
  switch (schema.type) {
    case 'strict_object': {
      const entries = Object.entries(schema.entries ?? {})
      const required = entries.filter(([, entry]) => entry.type !== 'optional').map(([name]) => name)
      return {
        type: 'object',
        properties: Object.fromEntries(entries.map(([name, entry]) => [name, toJsonSchema(entry)])),
        ...(required.length === 0 ? {} : { required }),
        additionalProperties: false,
      }
    }
    case 'array':
      return { type: 'array', items: schema.item ? toJsonSchema(schema.item) : {} }
    case 'union':
      return { anyOf: (schema.options ?? []).map((option) => toJsonSchema(option as SchemaNode)) }
    case 'picklist':
      return { enum: schema.options }
    case 'string':
    case 'number':
    case 'boolean':
      return { type: schema.type }
    default:
      throw new TypeError(`json-schema.ts has no word for ${schema.type}; add one`)
  }
}

function limits(schema: SchemaNode): JsonSchema {
  const found: JsonSchema = {}
  for (const action of schema.pipe ?? []) {
    if (action.type === 'integer') found['type'] = 'integer'
    if (action.type === 'min_value') found['minimum'] = action.requirement
    if (action.type === 'max_value') found['maximum'] = action.requirement
    if (action.type === 'non_empty') found['minLength'] = 1
    if (action.type === 'starts_with') found['pattern'] = `^${String(action.requirement)}`
    if (action.type === 'regex') found['pattern'] = (action.requirement as RegExp).source
  }
  return found
}
