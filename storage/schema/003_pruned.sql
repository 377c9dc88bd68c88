-- What `cost` said of a run when the texts behind it were dropped: its scores and figures stay, and so does its price.

CREATE TABLE pruned (
    run_id VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    requests BIGINT,
    answered BIGINT,
    cached BIGINT,
    input_tokens BIGINT,
    output_tokens BIGINT,
    pruned TIMESTAMP NOT NULL
);

-- What each run asked of each model, how much of it had been answered before, and the tokens of the rest; of a run that
-- was pruned, and not taken up since, as it was.
CREATE OR REPLACE VIEW cost AS
WITH past AS (
    SELECT p.* FROM pruned p
    WHERE NOT EXISTS (FROM steps s WHERE s.run_id = p.run_id AND s.recorded > p.pruned)
), asked_once AS (
    SELECT DISTINCT run_id, model_key, completion_key FROM run_requests
    WHERE run_id NOT IN (SELECT run_id FROM past)
)
SELECT a.run_id, coalesce(any_value(o.label), a.model_key) AS model, count(*) AS requests,
       count(c.completion_key) AS answered,
       count(*) FILTER (c.run_id <> a.run_id) AS cached,
       coalesce(sum(c.input_tokens) FILTER (c.run_id = a.run_id), 0)::BIGINT AS input_tokens,
       coalesce(sum(c.output_tokens) FILTER (c.run_id = a.run_id), 0)::BIGINT AS output_tokens
FROM asked_once a
LEFT JOIN completions c USING (completion_key)
LEFT JOIN models o ON o.model_key = a.model_key
GROUP BY a.run_id, a.model_key
UNION ALL
SELECT run_id, model, requests, answered, cached, input_tokens, output_tokens FROM past;
