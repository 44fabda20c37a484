"""Settings of the camera input."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class ImageInputSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where images come from, and which are worth processing.

    Attributes:
        topic: the image topic; a remapping of this name works as well. For transport "compressed" it is the whole name,
            such as "image/compressed".
        transport: "raw" for sensor_msgs/Image, "compressed" for sensor_msgs/CompressedImage.
        reliability: "best_effort" takes every camera; "reliable" refuses best-effort cameras and resends what was lost.
        max_age: seconds; an older image is dropped and counted. 0 takes images of any age.
        silence: seconds without any image after which a warning says who publishes the topic, and how.
    """

    topic: Annotated[str, msgspec.Meta(min_length=1)] = "image"
    transport: Literal["raw", "compressed"] = "raw"
    reliability: Literal["best_effort", "reliable"] = "best_effort"
    max_age: Annotated[float, msgspec.Meta(ge=0.0, le=60.0)] = 0.5
    silence: Annotated[float, msgspec.Meta(ge=0.1, le=3600.0)] = 3.0
