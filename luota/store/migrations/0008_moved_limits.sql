-- By how much short blind windows have moved the limit of a run: ten minutes at most, over restarts too.
ALTER TABLE runs ADD COLUMN limit_moved INTEGER NOT NULL DEFAULT 0;
