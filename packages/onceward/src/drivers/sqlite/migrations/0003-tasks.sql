CREATE TABLE onceward_tasks (
  id TEXT PRIMARY KEY
);
