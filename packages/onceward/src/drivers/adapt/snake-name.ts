/**
 * The name of a column as our statements write it, where a plugin has changed its case: `createdAt`, `CreatedAt`,
 * `created-at` and `CREATED_AT` are `created_at`.
 */
export function snakeName(name: string): string {
  if (!/[A-Z-]/.test(name)) return name
  if (!/[a-z]/.test(name)) return name.toLowerCase()
  return name
    .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    .replace(/-/g, '_')
    .replace(/^_/, '')
}
