-- Until when a channel rests, since its provider said that it got too much: a restart shall not forget it.
ALTER TABLE channels ADD COLUMN rests_until INTEGER;
