"""The qualities of service that Rapport uses, each named after what it is for."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data

#: Results that follow the frames: faces, estimates, events.
RESULTS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)

#: State that a late subscriber must still get: profiles, REP 155 lists and properties of persons.
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)

#: One topic per face of REP 155: reliable, only the newest.
NEWEST_RESULT = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)


def newest_image(reliable: bool = False) -> QoSProfile:
    """Camera images in, as ROS's sensor data: at most five wait in the middleware while the process is busy.

    The newest wins in `NewestSlot`, where what it supersedes is counted; with a depth of one the middleware would
    overwrite waiting images and nobody would know. Best effort takes reliable and best-effort cameras alike; reliable
    refuses the latter and resends what was lost.
    """
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=qos_profile_sensor_data.depth, reliability=reliability)


def describe(qos: QoSProfile) -> str:
    """The part of a QoS that can be incompatible, in words: "BEST_EFFORT, VOLATILE"."""
    return f"{qos.reliability.name}, {qos.durability.name}"
