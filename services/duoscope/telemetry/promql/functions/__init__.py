"""Functions and operators, by what they work on: windows of points, vectors, two vectors, buckets."""
