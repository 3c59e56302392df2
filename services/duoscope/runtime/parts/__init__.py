"""The parts that a process may consist of, one file each."""
