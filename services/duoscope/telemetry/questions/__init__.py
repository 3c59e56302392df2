"""Questions with numbers for answers: what alert rules watch, each a `{"kind": …}` that can be kept and asked again.

A question is asked at a moment, or at several in steps, and answered by sets of labels with a value in each step.
`kinds.Question` is the union of all kinds. A new kind is a class like those here, added to that union.
"""
