"""A process of duoscope: how its parts are started and stopped together."""
