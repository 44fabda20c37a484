"""What the robot computes about faces and people; imports neither ROS nor torch."""

__version__ = "0.1.0"
