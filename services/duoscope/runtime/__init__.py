"""A process of duoscope: its parts, put together and taken down."""
