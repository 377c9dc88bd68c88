-- The same rows as before, in a form in which what one run asked is found among what a year has asked.

-- The answer's model is asked for too, by which most of the table is passed over, and answers are looked up before scores
-- come in, so that it is not the table with all its texts that is kept in memory.
CREATE OR REPLACE VIEW lineage AS
SELECT z.run_id, coalesce(o.label, z.model_key) AS model, z.benchmark,
       coalesce(n.metric, s.scorer || CASE WHEN s.filter = '' THEN '' ELSE ',' || s.filter END) AS metric,
       s.sample_key, s.ordinal, s.replica, s.scorer, s.filter, s.value AS score, s.weight, s.detail,
       p.value AS prediction, p.method, p.status,
       a.role, a.round, a.turn, a.choice, a.completion_key, a.text, a.sums, a.tokens, a.greedy, a.finish, a.truncated,
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
           q.continuations, g.text AS rendering
    FROM run_requests r
    LEFT JOIN completions c ON c.completion_key = r.completion_key AND c.model_key = r.model_key
    LEFT JOIN requests q ON q.request_key = r.request_key
    LEFT JOIN headers h ON h.header_key = q.header_key
    LEFT JOIN renderings g ON g.request_key = r.request_key AND g.model_key = r.model_key
) a ON a.run_id = z.run_id AND a.benchmark = z.benchmark AND a.sample_key = s.sample_key
   AND a.replica = s.replica AND (a.model_key = z.model_key OR a.role <> 'subject')
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
    SELECT DISTINCT p.run_id, p.model_key, a.request_key, a.sampling_key, a.replica
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
