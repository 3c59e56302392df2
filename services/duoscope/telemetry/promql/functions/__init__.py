"""Functions and operators, by their operands: windows of points, vectors, two vectors, buckets."""
