"""The moving camera: where it looks, and what it sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport_edge.detection import DetectorSettings, FaceDetector, create_detector
from rapport_ros.playback.astronaut import HEIGHT, PATH, WIDTH, photograph
from rapport_ros.playback.camera_view import CameraPath, Pose, view
from rapport_ros.playback.scene import SceneSettings, scene

ASTRONAUT = photograph()


@given(st.floats(-2.0, 14.0))
def test_the_camera_stays_between_the_poses_of_its_path(seconds: float):
    path = CameraPath([(0.0, Pose(10.0, 20.0, 1.0)), (4.0, Pose(30.0, 60.0, 2.0)), (12.0, Pose(20.0, 20.0, 3.0))])
    pose = path.at(seconds)
    assert 10.0 <= pose.x <= 30.0 and 20.0 <= pose.y <= 60.0 and 1.0 <= pose.zoom <= 3.0


def test_the_camera_passes_through_each_pose():
    poses = [(0.0, Pose(10.0, 20.0, 1.0)), (4.0, Pose(30.0, 60.0, 2.0, blur=4.0)), (5.0, Pose(20.0, 20.0, 3.0))]
    path = CameraPath(poses)
    for seconds, pose in poses:
        found = path.at(seconds)
        assert (found.x, found.y, found.zoom, found.blur) == pytest.approx((pose.x, pose.y, pose.zoom, pose.blur))


def test_it_moves_smoothly():
    steps = np.diff([(PATH.at(n / 30.0).x, PATH.at(n / 30.0).y) for n in range(330)], axis=0)
    assert np.abs(steps).max() < 25.0


@given(
    x=st.floats(-1000.0, 1000.0),
    y=st.floats(-1000.0, 1000.0),
    zoom=st.floats(0.01, 8.0),
    size=st.tuples(st.integers(8, 200), st.integers(8, 200)),
)
def test_a_view_without_roll_never_looks_beyond_the_photograph(x: float, y: float, zoom: float, size: tuple[int, int]):
    white = np.full((64, 64, 3), 255, dtype=np.uint8)
    seen = view(white, Pose(x, y, zoom), *size)
    assert seen.shape == (size[1], size[0], 3) and seen.min() == 255


def test_a_view_of_the_whole_photograph_is_the_photograph():
    np.testing.assert_array_equal(view(ASTRONAUT, Pose(256.0, 256.0, 1.0), 512, 512), ASTRONAUT)


def test_blur_takes_detail_away():
    sharp = view(ASTRONAUT, Pose(230.0, 140.0, 2.0), 320, 240)
    blurred = view(ASTRONAUT, Pose(230.0, 140.0, 2.0, blur=4.0), 320, 240)
    assert np.diff(blurred.astype(int), axis=1).std() < 0.5 * np.diff(sharp.astype(int), axis=1).std()


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return create_detector(DetectorSettings())


@pytest.mark.parametrize(("seconds", "faces"), [(0.0, 1), (3.0, 1), (5.0, 1), (7.3, 0), (10.5, 1)])
def test_the_face_is_in_sight_goes_and_comes_back(detector: FaceDetector, seconds: float, faces: int):
    assert len(detector.detect(view(ASTRONAUT, PATH.at(seconds), WIDTH, HEIGHT))) == faces


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("size", [(640, 480), (1280, 720)])
@pytest.mark.parametrize("phase", [0.0, 0.6])
def test_a_scene_shows_as_many_faces_as_it_says(detector, count: int, size: tuple[int, int], phase: float):
    picture = scene(ASTRONAUT, SceneSettings(faces=count, width=size[0], height=size[1]), phase)
    assert picture.shape == (size[1], size[0], 3)
    assert len(detector.detect(picture)) == count
