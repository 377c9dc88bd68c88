-- Questions to other models than the one that is evaluated: to judges, and to the baseline that it is held against.

ALTER TABLE asked ADD COLUMN asked_of VARCHAR;       -- the model's key; NULL: the model that is evaluated
ALTER TABLE metrics ADD COLUMN judged_by VARCHAR;    -- the labels of the judges, where some had a say
ALTER TABLE metrics ADD COLUMN place INTEGER;        -- among the benchmark's figures: the first is the one it is known by
ALTER TABLE metrics ADD COLUMN share BOOLEAN;        -- whether it is a share of what is right, 1 the best

-- The models that each run evaluates. In ledgers of the first schema a prompt step is asked of all of them.
CREATE OR REPLACE VIEW run_models AS
SELECT DISTINCT run_id, model_key FROM steps WHERE model_key <> '' AND step <> 'infer'
UNION
SELECT DISTINCT h.run_id, h.model_key FROM shards h
SEMI JOIN (FROM steps WHERE step = 'prompt' AND model_key = '') s ON s.run_id = h.run_id;

-- What each run asks, of which model, for which sample of which evaluated one (`subject`).
CREATE OR REPLACE VIEW run_requests AS
SELECT s.run_id, s.benchmark, coalesce(a.asked_of, m.model_key) AS model_key, m.model_key AS subject,
       a.* EXCLUDE (asked_of),
       completion_key_of(a.request_key, coalesce(a.asked_of, m.model_key), a.sampling_key, a.replica) AS completion_key
FROM steps s
JOIN run_models m ON m.run_id = s.run_id AND s.model_key IN ('', m.model_key)
JOIN asked a ON a.prompted = s.step_key
WHERE s.step = 'prompt';

-- The figure of each run, model and benchmark that stands in the table of results.
CREATE OR REPLACE VIEW leaderboard AS
SELECT m.run_id, coalesce(o.label, m.model_key) AS model, m.benchmark, m.dimension, m.metric,
       m.value, m.ci_low, m.ci_high, m.n, m.n_errors, m.judged_by
FROM metrics m LEFT JOIN models o USING (model_key)
WHERE m.headline;

-- The same, each from the newest run that has it; figures of other judges are other figures.
CREATE OR REPLACE VIEW latest AS
SELECT l.*, r.created
FROM leaderboard l JOIN runs r USING (run_id)
QUALIFY row_number() OVER (
    PARTITION BY l.model, l.benchmark, l.metric, l.judged_by ORDER BY r.created DESC, r.run_id
) = 1;

-- The answer's model is asked for too, by which most of the table is passed over, and answers are looked up before scores
-- come in, so that it is not the table with all its texts that is kept in memory.
CREATE OR REPLACE VIEW lineage AS
SELECT z.run_id, coalesce(o.label, z.model_key) AS model, z.benchmark,
       coalesce(n.metric, s.scorer || CASE WHEN s.filter = '' THEN '' ELSE ',' || s.filter END) AS metric,
       s.sample_key, s.ordinal, s.replica, s.scorer, s.filter, s.value AS score, s.weight, s.detail,
       p.value AS prediction, p.method, p.status,
       a.role, a.answered_by, a.round, a.turn, a.choice, a.completion_key, a.text, a.sums, a.tokens, a.greedy, a.finish, a.truncated,
       a.request_key, a.kind, a.header, a.messages, a.continuations, a.sampling, a.gold,
       a.rendering, x.grp, x.fields, z.model_key
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
LEFT JOIN (
    SELECT r.*, c.text, c.sums, c.tokens, c.greedy, c.finish, c.truncated, q.kind, h.messages AS header, q.messages,
           q.continuations, g.text AS rendering, b.label AS answered_by
    FROM run_requests r
    LEFT JOIN models b ON b.model_key = r.model_key
    LEFT JOIN completions c ON c.completion_key = r.completion_key AND c.model_key = r.model_key
    LEFT JOIN requests q ON q.request_key = r.request_key
    LEFT JOIN headers h ON h.header_key = q.header_key
    LEFT JOIN renderings g ON g.request_key = r.request_key AND g.model_key = r.model_key
) a ON a.run_id = z.run_id AND a.benchmark = z.benchmark AND a.sample_key = s.sample_key
   AND a.replica = s.replica AND a.subject = z.model_key
LEFT JOIN steps w ON w.step = 'prepare' AND w.run_id = z.run_id AND w.benchmark = z.benchmark
LEFT JOIN samples x ON x.prepared = w.step_key AND x.sample_key = s.sample_key
WHERE z.step = 'score';

-- Runs that were pruned are left out before what they asked is looked at, and no key is computed of the rest.
CREATE OR REPLACE VIEW cost AS
WITH past AS (
    SELECT p.* FROM pruned p
    WHERE NOT EXISTS (FROM steps s WHERE s.run_id = p.run_id AND s.recorded > p.pruned)
), prompts AS (
    SELECT DISTINCT s.run_id, m.model_key, s.step_key
    FROM steps s JOIN run_models m ON m.run_id = s.run_id AND s.model_key IN ('', m.model_key)
    WHERE s.step = 'prompt' AND s.run_id NOT IN (SELECT run_id FROM past)
), asked_once AS (
    SELECT DISTINCT p.run_id, coalesce(a.asked_of, p.model_key) AS model_key, a.request_key, a.sampling_key, a.replica
    FROM prompts p JOIN asked a ON a.prompted = p.step_key
)
SELECT a.run_id, coalesce(any_value(o.label), a.model_key) AS model, count(*) AS requests,
       count(c.completion_key) AS answered,
       count(*) FILTER (c.run_id <> a.run_id) AS cached,
       coalesce(sum(c.input_tokens) FILTER (c.run_id = a.run_id), 0)::BIGINT AS input_tokens,
       coalesce(sum(c.output_tokens) FILTER (c.run_id = a.run_id), 0)::BIGINT AS output_tokens
FROM asked_once a
LEFT JOIN completions c USING (request_key, model_key, sampling_key, replica)
LEFT JOIN models o ON o.model_key = a.model_key
GROUP BY a.run_id, a.model_key
UNION ALL
SELECT run_id, model, requests, answered, cached, input_tokens, output_tokens FROM past;

-- Model x dimension: the mean over the benchmarks whose first figure is a share, and how many of the run's it covers.
CREATE OR REPLACE VIEW profile AS
WITH known AS (
    SELECT benchmark || CASE WHEN variant = '' THEN '' ELSE '@' || variant END AS benchmark, min(dimension) AS dimension
    FROM recipes GROUP BY ALL
), wanted AS (
    SELECT DISTINCT s.run_id, m.model_key, s.benchmark, k.dimension
    FROM steps s JOIN known k USING (benchmark) JOIN run_models m USING (run_id) WHERE s.step IN ('prepare', 'prompt')
), first AS (
    SELECT * FROM metrics WHERE headline AND coalesce(place, 0) = 0
), had AS (
    SELECT run_id, model_key, benchmark, dimension, avg(value) AS value, max(n) AS n, max(n_errors) AS n_errors
    FROM first WHERE coalesce(share, true) GROUP BY ALL
)
SELECT run_id, coalesce(any_value(o.label), model_key) AS model, dimension, avg(h.value) AS value,
       count(h.value) AS benchmarks, count(*) AS benchmarks_asked, count(h.value) / count(*) AS coverage,
       sum(h.n)::BIGINT AS n, sum(h.n_errors)::BIGINT AS n_errors
FROM (FROM wanted ANTI JOIN (FROM first WHERE NOT share) f USING (run_id, model_key, benchmark)) w
FULL JOIN had h USING (run_id, model_key, benchmark, dimension) LEFT JOIN models o USING (model_key)
GROUP BY run_id, model_key, dimension;
