"""What every other package is built on: scope, errors, settings, clock, ids, limits. Imports no other package of
duoscope.
"""
