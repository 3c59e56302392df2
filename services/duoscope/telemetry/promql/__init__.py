"""PromQL: text to tree, tree to a plan of what must be read, and evaluation on matrices of series by steps.

`text` limits and scans, `parse` makes the `tree`, `engine` plans, reads and evaluates it over a `storage`. Everything
above the selectors is arithmetic on numpy arrays and does not know where points come from.
"""
