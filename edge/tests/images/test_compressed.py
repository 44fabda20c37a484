"""decode_compressed and read_image: formats, truncation at many places, size bombs, and arbitrary bytes."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from rapport_edge.errors import ImageError
from rapport_edge.images import decode_compressed, read_image

JPEG_VARIANTS = {
    "baseline": [],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restart markers": [cv2.IMWRITE_JPEG_RST_INTERVAL, 4],
}


def picture(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """A smooth picture in strong colours, as JPEG likes it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def compress(image: np.ndarray, extension: str, flags: list[int] | None = None) -> bytes:
    done, data = cv2.imencode(extension, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), flags or [])
    assert done
    return data.tobytes()


def png_header(width: int, height: int) -> bytes:
    """A complete small PNG that declares any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    ihdr = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("extension", [".png", ".webp"])
@given(
    width=st.integers(1, 20),
    height=st.integers(1, 20),
    seed=st.integers(0, 99),
    wrap=st.sampled_from([bytes, bytearray, memoryview]),
)
@settings(max_examples=25, deadline=None)
def test_lossless_files_round_trip(extension: str, width: int, height: int, seed: int, wrap: type) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101] if extension == ".webp" else []
    decoded = decode_compressed(wrap(compress(image, extension, lossless)))
    np.testing.assert_array_equal(decoded, image)
    assert decoded.flags.c_contiguous


@pytest.mark.parametrize("variant", sorted(JPEG_VARIANTS))
@pytest.mark.parametrize("trailing", [b"", b"\0" * 100, b"garbage\xff\xd9"])
def test_jpeg_keeps_colours_and_ignores_what_follows_its_end(variant: str, trailing: bytes) -> None:
    image = picture()
    decoded = decode_compressed(compress(image, ".jpg", JPEG_VARIANTS[variant]) + trailing, "jpeg")
    assert np.abs(decoded.astype(int) - image).mean() < 6
    assert decoded.flags.c_contiguous


@pytest.mark.parametrize("variant", sorted(JPEG_VARIANTS))
def test_a_jpeg_cut_anywhere_is_refused(variant: str) -> None:
    whole = compress(picture(), ".jpg", JPEG_VARIANTS[variant])
    for cut in [*range(40), *range(40, len(whole), 7), len(whole) - 2, len(whole) - 1]:
        with pytest.raises(ImageError):
            decode_compressed(whole[:cut])


@pytest.mark.parametrize("variant", ["baseline", "progressive"])
@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 0.99])
def test_a_jpeg_with_an_end_marker_but_missing_data_is_refused(variant: str, share: float) -> None:
    """Some drivers close a cut frame with an end marker; OpenCV would return grey for the rest."""
    whole = compress(picture(240, 320), ".jpg", JPEG_VARIANTS[variant])
    with pytest.raises(ImageError, match="truncated or damaged"):
        decode_compressed(whole[: int(len(whole) * share)] + b"\xff\xd9")


def test_a_jpeg_with_a_hole_is_refused() -> None:
    whole = compress(picture(240, 320), ".jpg")
    middle = len(whole) // 2
    with pytest.raises(ImageError, match="premature end of data segment"):
        decode_compressed(whole[:middle] + whole[middle + 500 :])


def test_stray_bytes_before_the_end_marker_are_let_through() -> None:
    """As common USB cameras send them; no pixel is missing."""
    image = picture()
    whole = compress(image, ".jpg")
    decoded = decode_compressed(whole[:-2] + b"\x12" * 100 + whole[-2:])
    np.testing.assert_array_equal(decoded, decode_compressed(whole))


@pytest.mark.parametrize("extension", [".png", ".webp"])
def test_png_and_webp_cut_anywhere_are_refused_without_noise(extension: str, capfd: pytest.CaptureFixture[str]) -> None:
    whole = compress(picture(), extension)
    for cut in [*range(40), *range(40, len(whole), 11), len(whole) - 1]:
        with pytest.raises(ImageError):
            decode_compressed(whole[:cut])
    assert capfd.readouterr().err == ""
    assert decode_compressed(whole + b"trailing").shape == (48, 64, 3)


def test_a_png_with_a_damaged_body_is_refused() -> None:
    data = bytearray(compress(picture(), ".png"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ImageError, match="damaged"):
        decode_compressed(bytes(data))


def test_grey_alpha_and_16_bit_files_become_rgb() -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for extension in (".png", ".jpg"):
        decoded = decode_compressed(cv2.imencode(extension, grey)[1].tobytes(), "mono8; jpeg compressed ")
        assert (decoded == decoded[..., :1]).all()
    with_alpha = np.dstack([picture(8, 8), np.full((8, 8), 3, dtype=np.uint8)])
    decoded = decode_compressed(cv2.imencode(".png", with_alpha)[1].tobytes())
    np.testing.assert_array_equal(decoded, picture(8, 8)[..., ::-1])
    deep = np.full((4, 4), 0x8123, dtype=np.uint16)
    assert (decode_compressed(cv2.imencode(".png", deep)[1].tobytes(), "mono16; png compressed mono16") == 0x81).all()


@pytest.mark.parametrize(
    "format", ["", "jpeg", "png", "jpg", "rgb8; jpeg compressed bgr8", "bayer_rggb8; jpeg compressed bgr8", "nonsense"]
)
def test_the_format_field_does_not_change_colours(format: str) -> None:
    image = picture()
    np.testing.assert_array_equal(decode_compressed(compress(image, ".png"), format), image)


@pytest.mark.parametrize(
    ("format", "reason"),
    [
        ("16UC1; compressedDepth", "depth image"),
        ("32FC1; compressedDepth png", "depth image"),
        ("bayer_rggb8; jpeg compressed ", "Bayer"),
    ],
)
def test_formats_that_are_no_picture_are_refused_with_a_reason(format: str, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode_compressed(compress(picture(), ".png"), format)


@pytest.mark.parametrize("data", [b"", b"BM" + bytes(60), b"GIF89a" + bytes(20), b"\0\0\0\x01gA" * 9])
def test_other_formats_are_refused_with_their_first_bytes(data: bytes) -> None:
    with pytest.raises(ImageError, match="neither JPEG nor PNG nor WebP") as caught:
        decode_compressed(data, "h264")
    assert "h264" in str(caught.value)


def jpeg_declaring(width: int, height: int) -> bytes:
    """A JPEG whose frame header (SOF0: marker, length, precision, height, width) says any size."""
    data = bytearray(compress(picture(), ".jpg"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def test_small_files_that_declare_huge_pictures_are_refused_before_decoding() -> None:
    extended = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\x00" * 2
    for data in (png_header(100_000, 100_000), png_header(2**31, 2**31), jpeg_declaring(65_000, 65_000), extended):
        with pytest.raises(ImageError, match="megapixels"):
            decode_compressed(data)
    with pytest.raises(ImageError, match="no pixels"):
        decode_compressed(png_header(0, 5))


def test_exif_orientation_is_ignored_in_messages_and_applied_to_files(tmp_path: Path) -> None:
    upright = picture(48, 64)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.jpg"
        Image.fromarray(upright).save(path, exif=exif, quality=95)
        message = decode_compressed(path.read_bytes())
        assert message.shape == (48, 64, 3)
        flips = {2: (1,), 3: (0, 1), 4: (0,), 5: (), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
        expected = message.transpose(1, 0, 2) if orientation >= 5 else message
        for axis in flips:
            expected = np.flip(expected, axis)
        np.testing.assert_array_equal(read_image(path), expected, err_msg=f"orientation {orientation}")


def test_read_image_names_the_path_and_the_reason(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jpg"
    empty.write_bytes(b"")
    for path, reason in (
        (tmp_path / "absent.png", "No such file"),
        (tmp_path, "Is a directory"),
        (empty, "neither JPEG"),
    ):
        with pytest.raises(ImageError, match=reason) as caught:
            read_image(path)
        assert str(path) in str(caught.value)
    huge = tmp_path / "huge.png"
    with huge.open("wb") as file:
        file.truncate(400_000_000)
    with pytest.raises(ImageError, match="too many"):
        read_image(huge)


SEEDS = [compress(picture(), ".jpg"), compress(picture(), ".png"), compress(picture(), ".webp")]


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_damaged_files_give_a_picture_or_an_image_error(
    seed: bytes, damage: list[tuple[float, int]], cut: float
) -> None:
    data = bytearray(seed)
    for place, value in damage:
        data[int(place * (len(data) - 1))] = value
    for candidate in (bytes(data), bytes(data[: int(cut * len(data))])):
        try:
            image = decode_compressed(candidate)
        except ImageError:
            continue
        assert image.ndim == 3
        assert image.shape[2] == 3


@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x20\0\0\0WEBPVP8 "]),
    st.binary(max_size=200),
    st.text(max_size=20),
)
@example(b"\xff\xd8\xff", b"\xd9", "")
@settings(max_examples=120, deadline=None)
def test_arbitrary_bytes_raise_nothing_but_image_error(start: bytes, rest: bytes, format: str) -> None:
    with pytest.raises(ImageError):
        decode_compressed(start + rest, format)
