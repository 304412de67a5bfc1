/** Reads a number of what `INFO` answers. @param {unknown} info @param {string} name */
export function field(info, name) {
  return Number(new RegExp(`${name}:(\\d+)`).exec(String(info))?.[1])
}
