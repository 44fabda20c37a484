"""What the demo can play, from real clips and recordings, and what it says about the rest."""

from __future__ import annotations

from array import array
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from rapport_edge.images import decode_compressed, decode_raw
from rapport_ros.playback.astronaut import HEIGHT, PATH, WIDTH, AstronautSource
from rapport_ros.playback.factory import SourceSettings, open_source
from rapport_ros.playback.frames import CompressedPicture, RawPicture, SourceError, compress, raw_picture
from rapport_ros.playback.scene import SceneSettings, SceneSource

STORE = get_typestore(Stores.ROS2_JAZZY)


def decoded(picture):
    if isinstance(picture, CompressedPicture):
        return decode_compressed(picture.data, picture.format)
    return decode_raw(picture.data, picture.encoding, picture.width, picture.height, picture.step)


def noise(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_pictures(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for index, name in enumerate(names):
        cv2.imwrite(str(folder / name), cv2.cvtColor(noise(index), cv2.COLOR_RGB2BGR))
    return folder


def write_bag(folder: Path, plugin: StoragePlugin, count: int = 3, topic: str = "/camera/image_raw") -> Path:
    """Raw bgr8 images with padded rows, 100 ms apart, and a topic that is none."""
    kinds = STORE.types
    with Writer(folder, version=9, storage_plugin=plugin) as writer:
        images = writer.add_connection(topic, "sensor_msgs/msg/Image", typestore=STORE)
        words = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=STORE)
        for number in range(count):
            stamp = kinds["builtin_interfaces/msg/Time"](sec=1000, nanosec=number * 100_000_000)
            header = kinds["std_msgs/msg/Header"](stamp=stamp, frame_id="head_camera")
            rows = np.zeros((48, 64 * 3 + 8), dtype=np.uint8)
            rows[:, : 64 * 3] = noise(number)[:, :, ::-1].reshape(48, -1)
            image = kinds["sensor_msgs/msg/Image"](header, 48, 64, "bgr8", 0, 64 * 3 + 8, rows.reshape(-1))
            at = 2_000_000_000_000 + number * 100_000_000
            writer.write(images, at, STORE.serialize_cdr(image, "sensor_msgs/msg/Image"))
            word = kinds["std_msgs/msg/String"](data="hello")
            writer.write(words, at, STORE.serialize_cdr(word, "std_msgs/msg/String"))
    return folder


def test_the_astronaut_is_the_default_and_shows_the_same_frames_each_time():
    first = [frame for frame, _ in zip(open_source(SourceSettings()).frames(), range(5), strict=False)]
    second = [frame for frame, _ in zip(AstronautSource().frames(), range(5), strict=False)]
    assert [frame.picture.data for frame in first] == [frame.picture.data for frame in second]
    assert [frame.due for frame in first] == pytest.approx([n / 30.0 for n in range(5)])
    assert (first[0].picture.width, first[0].picture.height, first[0].stamp_ns) == (WIDTH, HEIGHT, None)


def test_the_astronaut_lasts_about_eleven_seconds_whatever_the_rate():
    assert AstronautSource().length == round(30 * PATH.duration) == 330
    assert AstronautSource(rate=10.0).length == 110


def test_a_video_plays_at_its_own_speed(shared_data: Path):
    source = open_source(SourceSettings(input=str(shared_data / "people/video/yes.mkv")))
    frames = list(source.frames())
    assert len(frames) == pytest.approx(source.length, abs=1)
    assert frames[30].due == pytest.approx(1.0)
    assert decoded(frames[0].picture).shape == (480, 640, 3)


def test_a_rate_overrides_the_speed_of_a_video(shared_data: Path):
    source = open_source(SourceSettings(input=str(shared_data / "people/video/yes.mkv"), rate=10.0))
    frames = source.frames()
    next(frames)
    assert next(frames).due == pytest.approx(0.1)


def test_colours_of_a_video_are_rgb(tmp_path: Path):
    path = tmp_path / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for _ in range(3):
        writer.write(np.full((48, 64, 3), (0, 0, 255), dtype=np.uint8))
    writer.release()
    image = decoded(next(open_source(SourceSettings(input=str(path))).frames()).picture)
    red, green, blue = image.reshape(-1, 3).mean(axis=0)
    assert red > 200 and green < 40 and blue < 40


def test_an_animation_plays_all_frames_at_its_own_speed(shared_data: Path):
    source = open_source(SourceSettings(input=str(shared_data / "people/video/face-demographics-walking.gif")))
    frames = list(source.frames())
    assert len(frames) == source.length == 35
    assert frames[-1].due == pytest.approx(2.83, abs=0.1)
    assert decoded(frames[-1].picture).shape == (270, 480, 3)


def test_pictures_of_a_folder_come_in_the_order_of_their_numbers(tmp_path: Path):
    folder = write_pictures(tmp_path / "pictures", ["frame10.png", "frame9.png", "frame1.png"])
    (folder / "notes.txt").write_text("not a picture")
    frames = list(open_source(SourceSettings(input=str(folder))).frames())
    assert [decoded(frame.picture).tolist() for frame in frames] == [noise(n).tolist() for n in (2, 1, 0)]


def test_pictures_are_held_as_long_as_asked(tmp_path: Path):
    folder = write_pictures(tmp_path / "pictures", ["a.png", "b.png"])
    source = open_source(SourceSettings(input=str(folder), rate=10.0, hold=0.5))
    frames = list(source.frames())
    assert len(frames) == source.length == 10
    assert frames[4].picture == frames[0].picture != frames[5].picture


def test_one_picture_is_shown_long_enough_to_follow_a_face(tmp_path: Path):
    folder = write_pictures(tmp_path / "pictures", ["a.png"])
    assert open_source(SourceSettings(input=str(folder / "a.png"))).length == 90


@pytest.mark.parametrize("plugin", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_a_recording_keeps_stamps_frame_and_pace(tmp_path: Path, plugin: StoragePlugin):
    source = open_source(SourceSettings(input=str(write_bag(tmp_path / "bag", plugin))))
    frames = list(source.frames())
    assert source.transport == "raw" and source.length == 3
    assert [frame.stamp_ns for frame in frames] == [1_000_000_000_000 + n * 100_000_000 for n in range(3)]
    assert [frame.due for frame in frames] == pytest.approx([0.0, 0.1, 0.2])
    assert {frame.frame_id for frame in frames} == {"head_camera"}
    for number, frame in enumerate(frames):
        np.testing.assert_array_equal(decoded(frame.picture), noise(number))


def test_one_file_of_a_recording_is_enough(tmp_path: Path):
    folder = write_bag(tmp_path / "bag", StoragePlugin.SQLITE3)
    file = next(folder.glob("*.db3"))
    assert len(list(open_source(SourceSettings(input=str(file))).frames())) == 3


def test_a_compressed_recording_is_played_as_it_is(shared_data: Path):
    bag = str(shared_data / "bags/three_faces_mcap")
    source = open_source(SourceSettings(input=bag))
    frames = list(source.frames())
    assert source.transport == "compressed" and len(frames) == source.length == 41
    assert frames[1].stamp_ns == 1_700_000_000_100_000_000
    raw = open_source(SourceSettings(input=bag, topic="/image_raw"))
    assert raw.transport == "raw" and len(list(raw.frames())) == 5


def test_colour_goes_before_depth(tmp_path: Path):
    folder = tmp_path / "bag"
    with Writer(folder, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        header = STORE.types["std_msgs/msg/Header"](STORE.types["builtin_interfaces/msg/Time"](1, 0), "")
        image = STORE.types["sensor_msgs/msg/Image"](header, 1, 1, "mono8", 0, 1, np.zeros(1, dtype=np.uint8))
        data = STORE.serialize_cdr(image, "sensor_msgs/msg/Image")
        for topic, count in (("/camera/depth/image_rect", 5), ("/camera/color/image_raw", 2)):
            connection = writer.add_connection(topic, "sensor_msgs/msg/Image", typestore=STORE)
            for number in range(count):
                writer.write(connection, number, data)
    assert "/camera/color/image_raw" in open_source(SourceSettings(input=str(folder))).description


def test_a_recording_without_images_names_its_topics(shared_data: Path):
    with pytest.raises(SourceError, match=r"no images in this recording; its topics are: .*/humans/faces/tracked"):
        open_source(SourceSettings(input=str(shared_data / "bags/hri_one_person")))


def test_a_topic_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path):
    bag = str(write_bag(tmp_path / "bag", StoragePlugin.MCAP))
    with pytest.raises(SourceError, match=r"no images on /image; its topics are: .*/camera/image_raw .*/chatter"):
        open_source(SourceSettings(input=bag, topic="/image"))


def test_a_recording_with_a_missing_file_says_which(tmp_path: Path):
    folder = write_bag(tmp_path / "bag", StoragePlugin.SQLITE3)
    file = next(folder.glob("*.db3"))
    file.unlink()
    with pytest.raises(SourceError, match=f"{folder}.*{file.name}"):
        open_source(SourceSettings(input=str(folder)))


@pytest.mark.parametrize("plugin", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_recording_that_was_cut_off_is_refused_or_played_in_part(tmp_path: Path, plugin: StoragePlugin, share: float):
    folder = write_bag(tmp_path / "bag", plugin, count=20)
    file = next(path for path in folder.iterdir() if path.suffix in (".db3", ".mcap"))
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    played = []
    with pytest.raises(SourceError, match="bag"):
        played.extend(open_source(SourceSettings(input=str(folder))).frames())
    assert len(played) < 20


@pytest.mark.parametrize(
    ("fixture", "reason"),
    [
        ("rosbag2_tests/sqlite3/wrong_rmw_test", "wrong_format"),
        ("rosbag2_py/sqlite3/reindex_test_bags/multiple_files", r"without metadata\.yaml.*reindex"),
        ("rosbag2_py/sqlite3/wbag", "no images"),
        ("rosbag2_py/mcap/talker", "no images"),
        ("rosbag2_tests/mcap/cdr_test", "no images"),
    ],
)
def test_the_recordings_that_rosbag2_tests_with_are_refused_with_the_reason(
    shared_data: Path, fixture: str, reason: str
):
    with pytest.raises(SourceError, match=reason):
        open_source(SourceSettings(input=str(shared_data / "bags/rosbag2_fixtures" / fixture)))


def test_what_is_not_there_or_no_input_is_refused(tmp_path: Path):
    text = tmp_path / "notes.txt"
    text.write_text("not a video")
    (tmp_path / "empty").mkdir()
    for given, reason in [
        (tmp_path / "nothing.mp4", "no such file"),
        (text, "neither a video nor a picture"),
        (tmp_path / "empty", "neither pictures .* nor a rosbag2"),
        ("97", "no camera at /dev/video97"),
    ]:
        with pytest.raises(SourceError, match=reason):
            open_source(SourceSettings(input=str(given)))


def test_a_picture_that_was_cut_off_is_said_when_it_comes(tmp_path: Path):
    folder = write_pictures(tmp_path / "pictures", ["a.png", "b.png"])
    data = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(data[: len(data) // 2])
    frames = open_source(SourceSettings(input=str(folder))).frames()
    next(frames)
    with pytest.raises(SourceError, match=r"b\.png.*truncated"):
        next(frames)


def test_compressing_keeps_the_picture_and_what_is_compressed():
    image = cv2.GaussianBlur(noise(1), (0, 0), 3.0)
    compressed = compress(raw_picture(image))
    assert compress(compressed) is compressed
    assert np.abs(decoded(compressed).astype(int) - image).mean() < 4.0


def test_a_raw_picture_travels_as_one_array():
    picture = raw_picture(noise(0))
    assert isinstance(picture, RawPicture) and isinstance(picture.data, array) and picture.data.typecode == "B"


@pytest.mark.parametrize("compressed", [False, True])
def test_a_scene_moves_and_repeats(compressed: bool):
    source = SceneSource(SceneSettings(faces=4, width=160, height=120, seconds=3.0, compressed=compressed, rate=10.0))
    frames = list(source.frames())
    assert len(frames) == source.length == 30
    assert frames[0].picture == frames[20].picture != frames[7].picture
    assert decoded(frames[0].picture).shape == (120, 160, 3)
    assert source.transport == ("compressed" if compressed else "raw")
