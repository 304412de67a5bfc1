CREATE TABLE onceward_tasks (
  id text PRIMARY KEY
);
