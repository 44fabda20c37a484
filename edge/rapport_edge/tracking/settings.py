"""Settings of the face tracker."""

from __future__ import annotations

from typing import Annotated

import msgspec


class TrackerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a face becomes a track, and when it stops being one.

    Attributes:
        confirm_hits: detections in a row before a track is reported; 1 reports every false alarm of the detector.
        max_misses: detector runs without a hit that a confirmed track survives: 8 are 0.8 s at 30 frames per second and
            detection on every third.
        min_iou: smallest intersection over union of a detection with a track's expected box that can match them.
        max_gap_s: seconds between two frames beyond which nothing is known about who is who: all tracks end.
    """

    confirm_hits: Annotated[int, msgspec.Meta(ge=1, le=30)] = 2
    max_misses: Annotated[int, msgspec.Meta(ge=0, le=300)] = 8
    min_iou: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)] = 0.2
    max_gap_s: Annotated[float, msgspec.Meta(gt=0.0, le=60.0)] = 2.0
