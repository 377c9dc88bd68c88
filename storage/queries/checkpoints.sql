-- How a family's checkpoints rise (or fall) with training, benchmark by benchmark.
SELECT family, benchmark, metric, step, round(value, 4) AS value, round(ci_low, 4) AS ci_low,
       round(ci_high, 4) AS ci_high,
       round(value - lag(value) OVER (PARTITION BY family, benchmark, metric ORDER BY step), 4) AS gain
FROM checkpoints
ORDER BY family, benchmark, metric, step;
