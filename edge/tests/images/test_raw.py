"""decode_raw: every encoding against known colours, row steps, byte buffers, and what is refused."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.errors import ImageError
from rapport_edge.images import MAX_PIXELS, SUPPORTED_ENCODINGS, decode_raw

RED, GREEN, BLUE, GREY = (254, 0, 0), (0, 255, 1), (0, 0, 254), (128, 128, 128)

#: BT.601 limited range (ITU-R BT.601, table 3): Y, Cb, Cr of the full red, green, blue and mid grey.
YUV = {RED: (81, 90, 240), GREEN: (145, 54, 34), BLUE: (41, 240, 110), GREY: (126, 128, 128)}

PACKED = {
    "rgb8": lambda r, g, b: [r, g, b],
    "bgr8": lambda r, g, b: [b, g, r],
    "8UC3": lambda r, g, b: [b, g, r],
    "rgba8": lambda r, g, b: [r, g, b, 7],
    "bgra8": lambda r, g, b: [b, g, r, 7],
}


def pad_rows(rows: np.ndarray, step: int, fill: int = 0xA5) -> bytes:
    """Rows of bytes with `fill` up to the step."""
    padded = np.full((len(rows), step), fill, dtype=np.uint8)
    padded[:, : rows.shape[1]] = rows
    return padded.tobytes()


def encode(image: np.ndarray, encoding: str) -> np.ndarray:
    """(h, w, 3) RGB as (rows, bytes per row) of a packed encoding, written pixel by pixel as the standard says."""
    rows = [[value for pixel in row for value in PACKED[encoding](*pixel)] for row in image.tolist()]
    return np.array(rows, dtype=np.uint8)


@pytest.mark.parametrize("encoding", sorted(PACKED))
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_packed_colours_survive_any_size_and_padding(encoding: str, data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    image = data.draw(st.binary(min_size=width * height * 3, max_size=width * height * 3))
    expected = np.frombuffer(image, dtype=np.uint8).reshape(height, width, 3)
    rows = encode(expected, encoding)
    step = rows.shape[1] + data.draw(st.integers(0, 5))
    decoded = decode_raw(pad_rows(rows, step), encoding, width, height, step)
    np.testing.assert_array_equal(decoded, expected)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
@given(width=st.integers(1, 9), height=st.integers(1, 9), padding=st.integers(0, 5), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_grey_becomes_three_equal_channels(encoding: str, width: int, height: int, padding: int, seed: int) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    decoded = decode_raw(pad_rows(grey, width + padding), encoding, width, height, width + padding)
    np.testing.assert_array_equal(decoded, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("bigendian", [False, True])
@pytest.mark.parametrize("padding", [0, 3])
def test_mono16_keeps_the_high_byte_of_either_byte_order(bigendian: bool, padding: int) -> None:
    values = np.array([[0, 255, 256], [32768, 65279, 65535]], dtype=np.uint16)
    rows = values.astype(">u2" if bigendian else "<u2").view(np.uint8)
    decoded = decode_raw(pad_rows(rows, 6 + padding), "mono16", 3, 2, 6 + padding, is_bigendian=bigendian)
    assert decoded[..., 0].tolist() == [[0, 0, 1], [128, 254, 255]]
    assert (decoded == decoded[..., :1]).all()


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv", "nv12", "nv21"])
def test_yuv_follows_bt601_with_limited_range(encoding: str, padding: int) -> None:
    """Four columns of two pixels each, every colour in one, so that a mixed-up sample would show."""
    columns = [RED, GREEN, BLUE, GREY]
    luma = [YUV[c][0] for c in columns for _ in range(2)]
    if encoding in ("nv12", "nv21"):
        order = (1, 2) if encoding == "nv12" else (2, 1)
        chroma = [YUV[c][i] for c in columns for i in order]
        rows = np.array([luma, luma, luma, luma, chroma, chroma], dtype=np.uint8)
    else:
        sample = {"y": 0, "u": 1, "v": 2}
        order = "uyvy" if encoding in ("yuv422", "uyvy") else "yuyv"
        packed = [YUV[c][sample[s]] for c in columns for s in order]
        rows = np.array([packed] * 4, dtype=np.uint8)
    step = rows.shape[1] + padding
    decoded = decode_raw(pad_rows(rows, step), encoding, 8, 4, step)
    expected = np.array([[c for c in columns for _ in range(2)]] * 4, dtype=np.int16)
    assert np.abs(decoded.astype(np.int16) - expected).max() <= 2


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_patterns_give_back_the_colours_of_a_mosaic(pattern: str) -> None:
    """Left half red-ish, right half blue-ish; away from the seam and the border the colours are exact."""
    image = np.zeros((12, 16, 3), dtype=np.uint8)
    image[:, :8], image[:, 8:] = (200, 90, 10), (20, 60, 240)
    mosaic = np.zeros((12, 16), dtype=np.uint8)
    for i, colour in enumerate(pattern):
        y, x = divmod(i, 2)
        mosaic[y::2, x::2] = image[y::2, x::2, "rgb".index(colour)]
    decoded = decode_raw(pad_rows(mosaic, 20), f"bayer_{pattern}8", 16, 12, 20)
    np.testing.assert_array_equal(decoded[1:-1, 1:6], image[1:-1, 1:6])
    np.testing.assert_array_equal(decoded[1:-1, 10:-1], image[1:-1, 10:-1])


def test_every_supported_encoding_decodes() -> None:
    for encoding in SUPPORTED_ENCODINGS:
        assert decode_raw(bytes(4 * 16 * 4), encoding, 4, 4, 16).shape == (4, 4, 3)


@pytest.mark.parametrize(
    "wrap", [bytes, bytearray, memoryview, lambda b: array("B", b), lambda b: np.frombuffer(b, np.uint8)]
)
def test_byte_buffers_of_every_kind_are_taken_without_a_copy(wrap: object) -> None:
    data = wrap(bytes(range(24)))  # type: ignore[operator]
    decoded = decode_raw(data, "rgb8", 4, 2, 12)
    assert decoded.tobytes() == bytes(range(24))
    assert np.may_share_memory(decoded, np.frombuffer(data, dtype=np.uint8))


def test_a_16_bit_array_is_taken_as_its_bytes() -> None:
    values = np.array([[256, 512]], dtype="<u2")
    assert decode_raw(values, "mono16", 2, 1, 4)[0, :, 0].tolist() == [1, 2]


def test_unpadded_rgb8_is_a_read_only_view_and_padded_rgb8_a_copy() -> None:
    data = np.zeros(2 * 16, dtype=np.uint8)
    view = decode_raw(data, "rgb8", 4, 2, 12)
    copy = decode_raw(data, "rgb8", 4, 2, 16)
    data[:] = 9
    assert (view == 9).all()
    assert (copy == 0).all()
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0, 0] = 1
    copy[0, 0, 0] = 1


def test_a_read_only_view_goes_through_opencv() -> None:
    view = decode_raw(bytes(range(48)), "rgb8", 4, 4, 12)
    assert cv2.resize(view, (2, 2)).shape == (2, 2, 3)
    assert cv2.warpAffine(view, np.eye(2, 3), (3, 3)).shape == (3, 3, 3)


def test_bytes_after_the_last_row_are_ignored() -> None:
    assert decode_raw(bytes(12) + b"more", "rgb8", 2, 2, 6).shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("encoding", "width", "height", "step", "size", "reason"),
    [
        ("rgb8", 4, 2, 11, 24, "shorter than a row of 12"),
        ("rgb8", 4, 2, 0, 24, "shorter than a row of 12"),
        ("rgb8", 4, 2, 12, 23, "24 bytes are needed"),
        ("rgb8", 4, 2, 16, 31, "32 bytes are needed"),
        ("rgb8", 0, 2, 12, 24, "no pixels"),
        ("rgb8", 4, 0, 12, 24, "no pixels"),
        ("rgb8", -4, 2, 12, 24, "no pixels"),
        ("rgb8", 4, 2, -12, 24, "shorter than a row"),
        ("nv12", 4, 4, 4, 23, "24 bytes are needed, 6 rows of 4"),
        ("nv12", 4, 3, 4, 99, "multiple of 2 and height of 2"),
        ("yuv422", 3, 2, 6, 99, "multiple of 2 and height of 1"),
        ("bayer_rggb8", 3, 2, 3, 99, "multiple of 2 and height of 2"),
        ("mono8", 2**32 - 1, 2**32 - 1, 2**32 - 1, 24, "more than the 33.2 megapixels"),
        ("mono8", MAX_PIXELS + 1, 1, MAX_PIXELS + 1, 24, "more than the 33.2 megapixels"),
        ("rgb8", float("nan"), 2, 12, 24, "whole numbers"),
        ("rgb8", float("inf"), 2, 12, 24, "whole numbers"),
        ("rgb8", 4, 2, 12.0, 24, "whole numbers"),
        ("rgb8", 4, None, 12, 24, "whole numbers"),
    ],
)
def test_what_does_not_fit_is_refused_with_all_numbers(
    encoding: str, width: int, height: int, step: int, size: int, reason: str
) -> None:
    with pytest.raises(ImageError, match=reason) as caught:
        decode_raw(bytes(size), encoding, width, height, step)
    for fact in (encoding, f"width {width}", f"height {height}", f"step {step}", f"{size} bytes"):
        assert fact in str(caught.value)


@pytest.mark.parametrize("encoding", ["", "RGB8", "16UC1", "32FC1", "h264", "rgb16"])
def test_unknown_encodings_are_refused_with_the_known_ones(encoding: str) -> None:
    with pytest.raises(ImageError, match="known are 8UC1, 8UC3, bayer_bggr8"):
        decode_raw(bytes(64), encoding, 4, 4, 16)


@pytest.mark.parametrize("data", [None, 7, "text", [1, 2, 3], object()])
def test_what_is_not_a_buffer_is_refused(data: object) -> None:
    with pytest.raises(ImageError, match="not a buffer of bytes"):
        decode_raw(data, "mono8", 1, 1, 1)  # type: ignore[arg-type]


def test_an_8k_frame_is_decoded() -> None:
    image = decode_raw(np.full(7680 * 4320, 7, dtype=np.uint8), "mono8", 7680, 4320, 7680)
    assert image.shape == (4320, 7680, 3)
    assert image[-1, -1].tolist() == [7, 7, 7]


@given(
    data=st.binary(max_size=200),
    encoding=st.sampled_from(SUPPORTED_ENCODINGS) | st.text(max_size=8),
    width=st.integers(-2, 2**32),
    height=st.integers(-2, 2**32) | st.integers(-1, 8),
    step=st.integers(-2, 2**32) | st.integers(-1, 40),
    bigendian=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_no_message_raises_anything_but_image_error(
    data: bytes, encoding: str, width: int, height: int, step: int, bigendian: bool
) -> None:
    try:
        image = decode_raw(data, encoding, width, height, step, bigendian)
    except ImageError:
        return
    assert image.shape == (height, width, 3)
