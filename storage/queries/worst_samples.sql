-- The questions of the newest run that its models did worst on, with one answer to each.
SET VARIABLE newest = (SELECT run_id FROM runs ORDER BY created DESC LIMIT 1);
SELECT benchmark, sample_key, round(avg(score), 4) AS mean_score, count(DISTINCT model) AS models,
       any_value(fields->>'$.input') AS input, any_value(fields->>'$.target') AS target,
       any_value(prediction) AS prediction, any_value(text) AS answer
FROM lineage
WHERE run_id = getvariable('newest')
GROUP BY benchmark, sample_key
ORDER BY mean_score, benchmark, sample_key
LIMIT 20;
