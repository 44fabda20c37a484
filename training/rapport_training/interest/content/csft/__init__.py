"""Stage 2 (Section 3.3): what an item is becomes what users are interested in."""
