"""Thin ROS 2 nodes over rapport_edge."""
