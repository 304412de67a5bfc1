/** A folder in which packages are unpacked. */
export interface PrivatePrefix {
  readonly root: string
  /** Every folder of the prefix with shared libraries, for `LD_LIBRARY_PATH`. */
  readonly libraryPath: string
}

/** Answers a folder in which these Debian packages are unpacked, creating it the first time. Needs no root. */
export function privatePrefix(
  packages: readonly string[],
  options?: { readonly complete?: boolean },
): Promise<PrivatePrefix>

/** The folder of a prefix that has been made already, if it has. */
export function prefixExists(
  packages: readonly string[],
  options?: { readonly complete?: boolean },
): Promise<string | undefined>

/** Finds a program on the path. */
export function onPath(name: string, path?: string): Promise<string | undefined>
