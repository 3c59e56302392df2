"""`python -m duoscope`: the same as the `duoscope` command."""

from duoscope.cli import main

main()
