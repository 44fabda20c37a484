"""Behaviour logs: one schema for all sources, samples prepared from them, and batches of those.

A source becomes a log (`log`), a log becomes samples with histories and splits (`prepared`), samples become batches
(`batches`).
"""
