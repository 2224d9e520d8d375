-- A link to choose a password holds for as long as its maker owns all workspaces of whom it is for; none for the host's.
ALTER TABLE one_time_links ADD COLUMN maker_id TEXT REFERENCES users (id) ON DELETE CASCADE;
-- Of these nobody knows who made them.
DELETE FROM one_time_links WHERE purpose = 'password';
