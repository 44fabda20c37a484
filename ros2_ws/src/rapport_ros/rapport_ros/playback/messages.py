"""Pictures as ROS messages."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from rapport_ros.playback.frames import Picture, RawPicture

NANOSECONDS = 1_000_000_000


def picture_message(picture: Picture, stamp_ns: int, frame_id: str) -> Image | CompressedImage:
    """A picture with its stamp, nanoseconds since 1970."""
    header = Header(stamp=Time(sec=stamp_ns // NANOSECONDS, nanosec=stamp_ns % NANOSECONDS), frame_id=frame_id)
    if isinstance(picture, RawPicture):
        message = Image(header=header, height=picture.height, width=picture.width, encoding=picture.encoding)
        message.step, message.is_bigendian = picture.step, int(picture.is_bigendian)
    else:
        message = CompressedImage(header=header, format=picture.format)
    message.data = picture.data
    return message


def stamp_ns(stamp: Time) -> int:
    """Nanoseconds since 1970; unlike seconds in a float they serve as a key."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)
