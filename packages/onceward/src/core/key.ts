/** Text, or the fields a key is derived from. */
export type Key = string | readonly unknown[] | { readonly [field: string]: unknown }
