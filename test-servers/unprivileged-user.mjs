import { readFile } from 'node:fs/promises'

/** Some servers refuse to run as root; `nobody` may. Answers nothing where we are not root. */
export async function unprivilegedUser() {
  if (process.getuid?.() !== 0) return undefined
  const passwd = await readFile('/etc/passwd', 'utf8')
  const [, , uid, gid] = /^nobody:.*$/m.exec(passwd)?.[0].split(':') ?? []
  return { uid: Number(uid ?? 65_534), gid: Number(gid ?? 65_534) }
}
