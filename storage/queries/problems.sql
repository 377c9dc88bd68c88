-- What went wrong in the newest run: how often, and an example of each cause.
SET VARIABLE newest = (SELECT run_id FROM runs ORDER BY created DESC LIMIT 1);
SELECT model, benchmark, problem, cause, count(*) AS rows, any_value(sample_key) AS example
FROM problems
WHERE run_id = getvariable('newest')
GROUP BY ALL
ORDER BY rows DESC, model, benchmark, problem, cause;
