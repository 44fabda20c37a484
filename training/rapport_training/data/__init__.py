"""Data sets of faces with captions: how they are made, described and read."""
