"""Plays recorded, drawn or live pictures as a camera would: sources of frames, and the process that publishes them."""
