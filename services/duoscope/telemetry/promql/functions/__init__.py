"""Functions and operators, by their operands: windows of points, vectors, two vectors, buckets.

A new function of one moment is listed in `calls`, one over a window of points in `over_time` or `rates`.
"""
