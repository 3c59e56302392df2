"""Jobs of the worker process: they run, by the clock, work whose code is in the room of its subject.

Removal of what has expired has no other room, and is here: `purge` for deleted resources, `housekeeping` for the rest.
"""
