-- Parked deliveries are read in pages, by when they are due, of the partitions that a process leases.
CREATE INDEX parked_by_due ON parked (role, partition, due, position);

-- So are those that have to be found. It serves what the release before asks for, too.
CREATE INDEX parked_to_find ON parked (role, partition, due, position) WHERE redriven;
DROP INDEX parked_redriven;
