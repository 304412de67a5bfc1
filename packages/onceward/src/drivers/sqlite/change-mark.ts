/** Reads SQLite's own change counters: one of them moves whenever anybody, this connection or another, has changed a row. */
export const CHANGE_MARK =
  'SELECT total_changes() AS changes, data_version AS version FROM pragma_data_version'
