"""Runs the nodes and a player as processes of their own, and records what comes out: what demo and bench share."""
