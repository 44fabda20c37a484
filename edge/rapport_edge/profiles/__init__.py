"""Profiles of persons: who is who, what is known, and the words for it."""
