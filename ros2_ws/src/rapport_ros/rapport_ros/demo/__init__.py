"""The demonstration: the whole path on real input, and a report of it."""
