-- The newest figure of every model on every benchmark, with its 95 % interval.
SELECT model, benchmark, metric, round(value, 4) AS value, round(ci_low, 4) AS ci_low, round(ci_high, 4) AS ci_high,
       n, n_errors
FROM latest
ORDER BY benchmark, metric, value DESC, model;
