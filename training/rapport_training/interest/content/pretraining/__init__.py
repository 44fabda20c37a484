"""Stage 1 (Section 3.2): foundation models learn what the catalogue's items look like and are called."""
