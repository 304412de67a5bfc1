/** Runs `work` while no other process of this machine runs work of the same name; a holder that died is noticed. */
export function exclusively<T>(
  name: string,
  place: { readonly folder: string },
  work: () => Promise<T>,
): Promise<T>
