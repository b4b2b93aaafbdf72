"""``kedro ratoon sweep``: many runs of a pipeline, each with other parameters, in search of the best.

The tracking store is the only record: a parent run that holds the plan, and a child run for each trial. Optuna decides
which values come next and is told what the store knows, so that a sweep that was broken off can go on anywhere.
"""
