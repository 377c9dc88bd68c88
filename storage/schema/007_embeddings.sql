-- Vectors of texts, by the model that made them, and what retrievers chose by them.

CREATE TABLE embeddings (
    embedder_key VARCHAR NOT NULL,           -- the model's key
    text_hash VARCHAR NOT NULL,
    vector FLOAT[] NOT NULL
);

ALTER TABLE shown ADD COLUMN scores DOUBLE[];        -- of its examples, where their retriever gives some
ALTER TABLE shown ADD COLUMN wanted INTEGER;         -- how many it would have shown, had the model room for them

-- The worked examples in front of each question.
CREATE OR REPLACE VIEW demonstrations AS
SELECT s.prompted, s.sample_key, u.rank - 1 AS rank, e.place, e.demo, s.scores[u.rank] AS score
FROM shown s, unnest(s.places) WITH ORDINALITY u(place, rank)
JOIN examples e ON e.prompted = s.prompted AND e.place = u.place;

-- What went wrong, a row each: steps and requests that failed, prompts that were cut or had to do with fewer examples,
-- answers that could not be read.
CREATE OR REPLACE VIEW problems AS
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
    SELECT z.run_id, z.model_key, z.benchmark, s.sample_key, 'examples left out',
           len(s.places) || ' of ' || s.wanted || ' are shown, as the model has room for no more', NULL
    FROM steps z JOIN shown s ON s.prompted = z.step_key
    WHERE z.step = 'prompt' AND len(s.places) < s.wanted
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
