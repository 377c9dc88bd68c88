-- What each run asked of each model, how much of it was known already, and the tokens of the rest.
SELECT r.created, c.*
FROM cost c JOIN runs r USING (run_id)
ORDER BY r.created DESC, c.model;
