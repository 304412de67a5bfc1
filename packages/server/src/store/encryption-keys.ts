import { readFile, stat } from 'node:fs/promises'
import type { EncryptionKey } from 'onceward/encrypted'
import { usageError } from '../exit-codes.ts'

/** Bits of a file mode by which people other than the owner, or of the group, could read or change the keys. */
const TOO_OPEN = 0o027

/**
 * Reads a key ring: one `id:base64` a line, the first one seals and all of them open; empty lines and lines that begin
 * with `#` say nothing.
 *
 * @throws `CommandError` (usage) that names the file, the line and the mend; never with a key in it.
 */
export async function readKeyRing(file: string): Promise<readonly EncryptionKey[]> {
  const wrong = (what: string): Error => usageError(`--encryption-key-file ${file}: ${what}`)
  let text: string
  try {
    // The mode of what is opened: mounted secrets are links.
    const { mode } = await stat(file)
    if (process.platform !== 'win32' && (mode & TOO_OPEN) !== 0)
      throw wrong(`others can read or change it (mode ${(mode & 0o777).toString(8)}); run chmod 600 on it`)
    text = await readFile(file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    throw code === undefined ? error : wrong(`cannot be read (${code}); check the path`)
  }
  const keys: EncryptionKey[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const found = /^([A-Za-z0-9._-]{1,32}):([A-Za-z0-9+/_-]{43}=?)\s*$/.exec(line)
    if (found === null)
      throw wrong(
        `line ${index + 1} is not id:key with 32 bytes as base64; make one with: echo "k1:$(openssl rand -base64 32)"`,
      )
    const [, id = '', key = ''] = found
    if (keys.some((other) => other.id === id))
      throw wrong(`line ${index + 1} has the id ${id} again; ids are unique`)
    keys.push({ id, key })
  }
  if (keys.length === 0) throw wrong('holds no key; make one with: echo "k1:$(openssl rand -base64 32)"')
  return keys
}
