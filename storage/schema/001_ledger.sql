-- The ledger: what was asked, answered, read, scored, and for which run.
--
-- Keys are VARCHAR of 32 hexadecimal digits. The big tables have neither primary keys nor indices: whoever inserts does
-- so under the ledger's lock and leaves out what is there by an anti-join, which takes half the time. Timestamps are UTC.
-- Content (samples, asked, predictions, scores) is kept under the key of the step that made it; `steps` says which run
-- uses it. A step that is about one model has its key in model_key, else ''; a prompt step with '' is asked of every
-- model of the run.

CREATE TABLE runs (
    run_id VARCHAR NOT NULL,
    spec VARCHAR,                            -- the EvalSpec as JSON
    spec_hash VARCHAR,
    state VARCHAR NOT NULL,
    created TIMESTAMP NOT NULL,
    finished TIMESTAMP,
    lease DOUBLE,                            -- alive until then (seconds since 1970), unless renewed
    pid INTEGER,
    host VARCHAR,
    versions VARCHAR,                        -- of libraries, as JSON
    prefect_flow_run VARCHAR,
    error VARCHAR,
    refresh BOOLEAN DEFAULT false            -- answers older than the run do not count
);

CREATE TABLE datasets (
    dataset_key VARCHAR NOT NULL,
    benchmark VARCHAR NOT NULL,
    source VARCHAR,
    revision VARCHAR,
    sha256 VARCHAR,
    rows BIGINT,
    recorded TIMESTAMP
);

CREATE TABLE models (
    model_key VARCHAR NOT NULL,
    label VARCHAR NOT NULL,
    adapter VARCHAR,
    path VARCHAR,
    identity VARCHAR,                        -- what changes its answers, as JSON
    facts VARCHAR,                           -- what does not, as JSON
    chat BOOLEAN,
    family VARCHAR,
    step BIGINT                              -- training step of a checkpoint
);

CREATE TABLE recipes (
    recipe_key VARCHAR NOT NULL,
    benchmark VARCHAR NOT NULL,              -- the name without the variant
    variant VARCHAR NOT NULL,
    dimension VARCHAR,
    recipe VARCHAR                           -- JSON
);

CREATE TABLE steps (
    run_id VARCHAR NOT NULL,
    step VARCHAR NOT NULL,                   -- prepare, prompt, plan, infer, collect, postprocess, score, summarize
    benchmark VARCHAR NOT NULL,              -- with its variant: gsm8k@cot
    model_key VARCHAR NOT NULL DEFAULT '',
    round INTEGER NOT NULL DEFAULT 0,
    step_key VARCHAR NOT NULL,               -- of its inputs; its rows are found under it
    state VARCHAR NOT NULL,
    rows BIGINT,
    seconds DOUBLE,
    recorded TIMESTAMP,
    error VARCHAR
);

CREATE TABLE samples (
    prepared VARCHAR NOT NULL,
    ordinal BIGINT NOT NULL,
    sample_key VARCHAR NOT NULL,
    grp VARCHAR,
    cluster VARCHAR,
    fields VARCHAR USING COMPRESSION zstd    -- the mapped sample as JSON
);

CREATE TABLE headers (
    header_key VARCHAR NOT NULL,
    messages VARCHAR USING COMPRESSION zstd  -- JSON: what many questions have in front
);

CREATE TABLE examples (
    prompted VARCHAR NOT NULL,
    place INTEGER NOT NULL,                  -- in the pool of the prompt step
    demo VARCHAR USING COMPRESSION zstd      -- the mapped sample as JSON
);

CREATE TABLE shown (
    prompted VARCHAR NOT NULL,
    sample_key VARCHAR NOT NULL,
    places INTEGER[]                         -- of its examples, in the order in which it shows them
);

-- The worked examples in front of each question.
CREATE VIEW demonstrations AS
SELECT s.prompted, s.sample_key, u.rank - 1 AS rank, e.place, e.demo
FROM shown s, unnest(s.places) WITH ORDINALITY u(place, rank)
JOIN examples e ON e.prompted = s.prompted AND e.place = u.place;

CREATE TABLE requests (
    request_key VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    header_key VARCHAR,
    messages VARCHAR USING COMPRESSION zstd, -- JSON: what follows the header
    continuations VARCHAR[],
    needs VARCHAR[]
);

CREATE TABLE asked (
    prompted VARCHAR NOT NULL,
    ordinal BIGINT NOT NULL,
    sample_key VARCHAR NOT NULL,
    request_key VARCHAR NOT NULL,
    role VARCHAR NOT NULL,                   -- subject, judge, …
    choice INTEGER NOT NULL,                 -- where each choice has a request of its own, else -1
    replica INTEGER NOT NULL,
    round INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    sampling VARCHAR NOT NULL,               -- JSON
    sampling_key VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    gold VARCHAR                             -- JSON
);

CREATE TABLE completions (
    completion_key VARCHAR NOT NULL,
    request_key VARCHAR NOT NULL,
    model_key VARCHAR NOT NULL,
    sampling_key VARCHAR NOT NULL,
    replica INTEGER NOT NULL,
    text VARCHAR USING COMPRESSION zstd,
    sums DOUBLE[],
    tokens INTEGER[],
    greedy BOOLEAN[],
    prompt_sums DOUBLE[],
    prompt_lengths INTEGER[],
    token_logprobs DOUBLE[][],
    finish VARCHAR,
    input_tokens INTEGER,
    output_tokens INTEGER,
    truncated INTEGER,                       -- tokens cut off the left of the prompt
    created TIMESTAMP NOT NULL,
    run_id VARCHAR                           -- the run that asked
);

CREATE TABLE renderings (
    request_key VARCHAR NOT NULL,
    model_key VARCHAR NOT NULL,
    text VARCHAR USING COMPRESSION zstd      -- what the model saw
);

CREATE TABLE failures (
    completion_key VARCHAR NOT NULL,
    request_key VARCHAR NOT NULL,
    model_key VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    error VARCHAR,
    recorded TIMESTAMP NOT NULL
);

CREATE TABLE claims (
    completion_key VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    expires DOUBLE NOT NULL                  -- as it was taken; what counts is the run's lease
);

CREATE TABLE predictions (
    predicted VARCHAR NOT NULL,
    ordinal BIGINT NOT NULL,
    sample_key VARCHAR NOT NULL,
    replica INTEGER NOT NULL,
    filter VARCHAR NOT NULL,
    value VARCHAR USING COMPRESSION zstd,    -- JSON; NULL where nothing was found
    method VARCHAR,
    status VARCHAR
);

CREATE TABLE scores (
    scored VARCHAR NOT NULL,
    ordinal BIGINT NOT NULL,
    sample_key VARCHAR NOT NULL,
    replica INTEGER NOT NULL,
    filter VARCHAR NOT NULL,
    scorer VARCHAR NOT NULL,
    value DOUBLE,
    weight DOUBLE,
    detail VARCHAR USING COMPRESSION zstd    -- JSON
);

CREATE TABLE metrics (
    run_id VARCHAR NOT NULL,
    model_key VARCHAR NOT NULL,
    recipe_key VARCHAR,
    benchmark VARCHAR NOT NULL,              -- with its variant
    dimension VARCHAR,
    metric VARCHAR NOT NULL,
    aggregation VARCHAR,                     -- micro, macro, …
    grp VARCHAR,
    value DOUBLE,
    stderr DOUBLE,
    ci_low DOUBLE,
    ci_high DOUBLE,
    n BIGINT,
    n_errors BIGINT,
    method VARCHAR,
    headline BOOLEAN DEFAULT false,
    scorer VARCHAR,                          -- the scores it was made of
    filter VARCHAR
);

CREATE TABLE shards (
    run_id VARCHAR NOT NULL,
    shard VARCHAR NOT NULL,
    model_key VARCHAR NOT NULL,
    round INTEGER NOT NULL,
    requests BIGINT,
    cost DOUBLE,
    path VARCHAR,
    state VARCHAR,
    started TIMESTAMP,
    finished TIMESTAMP
);

CREATE MACRO completion_key_of(request_key, model_key, sampling_key, replica) AS
    left(sha256(request_key || model_key || sampling_key || replica::VARCHAR), 32);

-- The models that each run has begun to ask.
CREATE VIEW run_models AS
SELECT DISTINCT run_id, model_key FROM steps WHERE model_key <> ''
UNION
SELECT DISTINCT run_id, model_key FROM shards;

-- What each run asks of each of its models, and for which sample.
CREATE VIEW run_requests AS
SELECT s.run_id, s.benchmark, m.model_key, a.*,
       completion_key_of(a.request_key, m.model_key, a.sampling_key, a.replica) AS completion_key
FROM steps s
JOIN run_models m ON m.run_id = s.run_id AND s.model_key IN ('', m.model_key)
JOIN asked a ON a.prompted = s.step_key
WHERE s.step = 'prompt';

-- The figure of each run, model and benchmark that stands in the table of results.
CREATE VIEW leaderboard AS
SELECT m.run_id, coalesce(o.label, m.model_key) AS model, m.benchmark, m.dimension, m.metric,
       m.value, m.ci_low, m.ci_high, m.n, m.n_errors
FROM metrics m LEFT JOIN models o USING (model_key)
WHERE m.headline;

-- The same, each from the newest run that has it.
CREATE VIEW latest AS
SELECT l.*, r.created
FROM leaderboard l JOIN runs r USING (run_id)
QUALIFY row_number() OVER (PARTITION BY l.model, l.benchmark, l.metric ORDER BY r.created DESC, r.run_id) = 1;

-- Model x dimension: the mean over benchmarks, and how many of the run's benchmarks it covers.
CREATE VIEW profile AS
WITH known AS (
    SELECT benchmark || CASE WHEN variant = '' THEN '' ELSE '@' || variant END AS benchmark, min(dimension) AS dimension
    FROM recipes GROUP BY ALL
), wanted AS (
    SELECT DISTINCT s.run_id, m.model_key, s.benchmark, k.dimension
    FROM steps s JOIN known k USING (benchmark) JOIN run_models m USING (run_id) WHERE s.step IN ('prepare', 'prompt')
), had AS (
    SELECT run_id, model_key, benchmark, dimension, avg(value) AS value, max(n) AS n, max(n_errors) AS n_errors
    FROM metrics WHERE headline GROUP BY ALL
)
SELECT run_id, coalesce(any_value(o.label), model_key) AS model, dimension, avg(h.value) AS value,
       count(h.value) AS benchmarks, count(*) AS benchmarks_asked, count(h.value) / count(*) AS coverage,
       sum(h.n)::BIGINT AS n, sum(h.n_errors)::BIGINT AS n_errors
FROM wanted w FULL JOIN had h USING (run_id, model_key, benchmark, dimension) LEFT JOIN models o USING (model_key)
GROUP BY run_id, model_key, dimension;

-- The newest figures of models that are checkpoints of a family, by training step.
CREATE VIEW checkpoints AS
SELECT o.family, o.step, l.model, l.benchmark, l.dimension, l.metric, l.value, l.ci_low, l.ci_high, l.n, l.n_errors,
       l.run_id
FROM latest l
JOIN (SELECT DISTINCT label AS model, family, step FROM models WHERE step IS NOT NULL) o USING (model);

-- From a score back to the question: one row for each request that was asked for it.
CREATE VIEW lineage AS
SELECT z.run_id, coalesce(o.label, z.model_key) AS model, z.benchmark,
       coalesce(n.metric, s.scorer || CASE WHEN s.filter = '' THEN '' ELSE ',' || s.filter END) AS metric,
       s.sample_key, s.ordinal, s.replica, s.scorer, s.filter, s.value AS score, s.weight, s.detail,
       p.value AS prediction, p.method, p.status,
       a.role, a.round, a.turn, a.choice, a.completion_key, c.text, c.sums, c.tokens, c.greedy, c.finish, c.truncated,
       a.request_key, q.kind, h.messages AS header, q.messages, q.continuations, a.sampling, a.gold,
       g.text AS rendering, x.grp, x.fields, z.model_key
FROM steps z
JOIN scores s ON s.scored = z.step_key
LEFT JOIN (                              -- what the table of results calls a scorer's figure
    SELECT run_id, model_key, benchmark, scorer, filter, min(metric) AS metric
    FROM metrics WHERE headline GROUP BY ALL
) n ON n.run_id = z.run_id AND n.model_key = z.model_key AND n.benchmark = z.benchmark AND n.scorer = s.scorer
   AND n.filter = s.filter
LEFT JOIN models o ON o.model_key = z.model_key
LEFT JOIN steps y ON y.step = 'postprocess' AND y.run_id = z.run_id AND y.benchmark = z.benchmark
                 AND y.model_key = z.model_key
LEFT JOIN predictions p ON p.predicted = y.step_key AND p.sample_key = s.sample_key AND p.replica = s.replica
                       AND p.filter = s.filter
LEFT JOIN run_requests a ON a.run_id = z.run_id AND a.benchmark = z.benchmark AND a.sample_key = s.sample_key
                        AND a.replica = s.replica AND (a.model_key = z.model_key OR a.role <> 'subject')
LEFT JOIN completions c ON c.completion_key = a.completion_key
LEFT JOIN requests q ON q.request_key = a.request_key
LEFT JOIN headers h ON h.header_key = q.header_key
LEFT JOIN renderings g ON g.request_key = a.request_key AND g.model_key = a.model_key
LEFT JOIN steps w ON w.step = 'prepare' AND w.run_id = z.run_id AND w.benchmark = z.benchmark
LEFT JOIN samples x ON x.prepared = w.step_key AND x.sample_key = s.sample_key
WHERE z.step = 'score';

-- What each run asked of each model, how much of it had been answered before, and the tokens of the rest.
CREATE VIEW cost AS
WITH asked_once AS (SELECT DISTINCT run_id, model_key, completion_key FROM run_requests)
SELECT a.run_id, coalesce(any_value(o.label), a.model_key) AS model, count(*) AS requests,
       count(c.completion_key) AS answered,
       count(*) FILTER (c.run_id <> a.run_id) AS cached,
       coalesce(sum(c.input_tokens) FILTER (c.run_id = a.run_id), 0)::BIGINT AS input_tokens,
       coalesce(sum(c.output_tokens) FILTER (c.run_id = a.run_id), 0)::BIGINT AS output_tokens
FROM asked_once a
LEFT JOIN completions c USING (completion_key)
LEFT JOIN models o ON o.model_key = a.model_key
GROUP BY a.run_id, a.model_key;

-- What went wrong, a row each: steps and requests that failed, prompts that were cut, answers that could not be read.
CREATE VIEW problems AS
WITH found AS (
    SELECT run_id, model_key, benchmark, NULL AS sample_key, 'step failed' AS problem,
           step || ': ' || coalesce(error, 'no reason given') AS cause, NULL AS completion_key
    FROM steps WHERE state = 'failed'
    UNION ALL
    SELECT r.run_id, r.model_key, r.benchmark, r.sample_key, 'request failed', f.error, f.completion_key
    FROM run_requests r
    JOIN (SELECT run_id, completion_key, arg_max(error, recorded) AS error FROM failures GROUP BY ALL) f
        USING (run_id, completion_key)
    ANTI JOIN completions c ON c.completion_key = r.completion_key
    UNION ALL
    SELECT r.run_id, r.model_key, r.benchmark, r.sample_key, 'prompt truncated',
           c.truncated || ' tokens cut off its left', c.completion_key
    FROM run_requests r JOIN completions c USING (completion_key) WHERE c.truncated > 0
    UNION ALL
    SELECT z.run_id, z.model_key, z.benchmark, p.sample_key, 'not extracted',
           'filter ''' || p.filter || ''': ' || coalesce(p.method, '') || ' (' || coalesce(p.status, 'none') || ')', NULL
    FROM steps z JOIN predictions p ON p.predicted = z.step_key
    WHERE z.step = 'postprocess' AND p.value IS NULL
    UNION ALL
    SELECT z.run_id, z.model_key, z.benchmark, s.sample_key, 'not scored', s.scorer, NULL
    FROM steps z JOIN scores s ON s.scored = z.step_key
    WHERE z.step = 'score' AND s.value IS NULL
)
SELECT f.run_id, coalesce(o.label, f.model_key) AS model, f.benchmark, f.sample_key, f.problem, f.cause,
       f.completion_key
FROM found f LEFT JOIN models o ON o.model_key = f.model_key;
