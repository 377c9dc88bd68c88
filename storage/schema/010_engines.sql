-- How a model's engine computed a shard, where it tells: in packs, or row by row and why. Of each worker, for its shard.

ALTER TABLE shards ADD COLUMN engine VARCHAR;
