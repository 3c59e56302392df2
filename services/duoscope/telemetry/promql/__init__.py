"""PromQL: text to tree, tree to a plan of what must be read, and evaluation on matrices of series by steps.

`syntax/` limits and parses the text and holds the tree; `engine` plans, reads and evaluates it over a `storage`, which
`stored/` implements on ClickHouse. `functions/` has what expressions compute: arithmetic on numpy arrays that does not
know where points come from.
"""
