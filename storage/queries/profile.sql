-- Each model's mean by dimension in the newest run, and how much of what was asked it covers.
SET VARIABLE newest = (SELECT run_id FROM runs ORDER BY created DESC LIMIT 1);
SELECT model, dimension, round(value, 4) AS value, benchmarks, benchmarks_asked, n, n_errors
FROM profile
WHERE run_id = getvariable('newest')
ORDER BY model, dimension;
