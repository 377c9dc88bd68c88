-- Who answered a shard and how fast: what the planner learns from. Tokens count a shared header in each of its prompts.

ALTER TABLE shards ADD COLUMN worker VARCHAR;        -- '' for the run's own process
ALTER TABLE shards ADD COLUMN device VARCHAR;        -- what it ran on: a GPU's name, or cpu
ALTER TABLE shards ADD COLUMN devices INTEGER;       -- how many of them
ALTER TABLE shards ADD COLUMN bytes BIGINT;          -- of the prompts and continuations, as planned
ALTER TABLE shards ADD COLUMN allowance BIGINT;      -- tokens that might have been written, as planned
ALTER TABLE shards ADD COLUMN input_tokens BIGINT;
ALTER TABLE shards ADD COLUMN output_tokens BIGINT;
ALTER TABLE shards ADD COLUMN seconds DOUBLE;        -- of answering, without the loading
ALTER TABLE shards ADD COLUMN load_seconds DOUBLE;   -- of the model, where this was the worker's first shard; else 0
