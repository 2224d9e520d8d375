-- A digest is kept as long as a delivery that it tells: retention looks for those of each digest.
CREATE INDEX deliveries_told_by ON deliveries (told_by) WHERE told_by IS NOT NULL;
