"""What every other part stands on: scope, errors, settings, clock, ids, limits. Imports nothing of ours."""
