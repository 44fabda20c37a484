"""From the bytes of a camera message or a file to (h, w, 3) uint8 RGB."""

from rapport_edge.images.compressed import decode_compressed
from rapport_edge.images.files import decode_upright, read_image
from rapport_edge.images.limits import MAX_PIXELS
from rapport_edge.images.raw import SUPPORTED_ENCODINGS, decode_raw

__all__ = ["MAX_PIXELS", "SUPPORTED_ENCODINGS", "decode_compressed", "decode_raw", "decode_upright", "read_image"]
