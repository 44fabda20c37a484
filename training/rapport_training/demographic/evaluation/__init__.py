"""Evaluation of the demographic user model: user retrieval (Table I), zero-shot attributes, linear probe, reports."""
