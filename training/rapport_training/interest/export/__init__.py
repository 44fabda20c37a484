"""From a trained click model to an interest-ranker bundle that a robot runs."""
