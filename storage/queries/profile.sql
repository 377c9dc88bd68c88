-- Each model's mean by dimension in the newest run, and how much of what was asked it covers.
SELECT model, dimension, round(value, 4) AS value, benchmarks, benchmarks_asked, n, n_errors
FROM profile
WHERE run_id = (SELECT run_id FROM runs ORDER BY created DESC LIMIT 1)
ORDER BY model, dimension;
