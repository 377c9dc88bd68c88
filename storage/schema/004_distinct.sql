-- Adapters keep the header that prompts share: it is read once a shard, and what is read is what takes time.

ALTER TABLE shards ADD COLUMN distinct_bytes BIGINT; -- as `bytes`, with each header once
