-- What nightly runs are done with: checkpoints as they were found, evaluated or broken, each told once.

CREATE TABLE sightings (
    place VARCHAR NOT NULL,                  -- folder, URL, or name on the hub
    fingerprint VARCHAR NOT NULL,            -- of its files' names, sizes and times; the commit of a hub's revision
    wanted VARCHAR NOT NULL,                 -- what was asked of it: of the evaluation and its recipes; '' where broken
    family VARCHAR NOT NULL,
    step BIGINT NOT NULL,
    state VARCHAR NOT NULL,                  -- done, failed, broken
    cause VARCHAR,
    run_id VARCHAR,
    recorded TIMESTAMP NOT NULL
);

-- The newest figures of models that are checkpoints of a family, by training step: by what a run was told of its model,
-- or by the night that evaluated it, since the same weights may be of several families.
CREATE OR REPLACE VIEW checkpoints AS
WITH asked AS (
    SELECT DISTINCT run_id, model_key FROM metrics
), member AS (
    SELECT o.family, o.step, a.run_id, a.model_key FROM asked a JOIN models o USING (model_key) WHERE o.step IS NOT NULL
    UNION
    SELECT s.family, s.step, a.run_id, a.model_key FROM asked a JOIN sightings s USING (run_id)
)
SELECT b.family, b.step, coalesce(o.label, m.model_key) AS model, m.benchmark, m.dimension, m.metric, m.value, m.ci_low,
       m.ci_high, m.n, m.n_errors, m.run_id, m.model_key, m.stderr
FROM member b JOIN metrics m USING (run_id, model_key) JOIN runs r USING (run_id) LEFT JOIN models o USING (model_key)
WHERE m.headline
QUALIFY row_number() OVER (
    PARTITION BY b.family, b.step, o.label, m.benchmark, m.metric ORDER BY r.created DESC, m.run_id
) = 1;
