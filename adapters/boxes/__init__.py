"""What the sandboxes share.

`runner` (in our process) sends jobs to a `keeper`, a small clean process that forks a `guard` for each; the guard
starts the job's programs (`inside`: a program's way into its namespaces), reads what they write, watches the clock and
ends them. The keeper and the guard never read a program's text: what a program finds in its memory is its own.
"""
