-- Whether a blind window hid how a run ended: a start does not prove that the job is well again.
ALTER TABLE monitor_states ADD COLUMN outcome_unknown INTEGER NOT NULL DEFAULT 0;
