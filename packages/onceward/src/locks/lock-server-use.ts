/** What locks need a server for, as messages about its settings say it. */
export const LOCKS_USE = {
  who: 'the locks',
  thrown: 'locks away, and others would be granted them while they are held',
  forgotten: 'others would be granted what is held',
} as const
