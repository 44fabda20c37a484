"""Every topic name of REP 155 (ROS 4 HRI), and whether its message package is installed.

Pull request 362 of the REP proposes flat topics: a change of names happens here and nowhere else.
"""

from __future__ import annotations

from importlib.util import find_spec

FACES_TRACKED = "/humans/faces/tracked"
CANDIDATE_MATCHES = "/humans/candidate_matches"
PERSONS_TRACKED = "/humans/persons/tracked"
PERSONS_KNOWN = "/humans/persons/known"

#: Parameters that all nodes of a robot share.
FACE_WIDTH_PARAMETER = "/humans/faces/width"
FACE_HEIGHT_PARAMETER = "/humans/faces/height"

#: Landmarks of the 70-point face that five-point detectors know, in the order of `rapport_edge.faces.LANDMARK_NAMES`:
#: RIGHT_PUPIL, LEFT_PUPIL, NOSE, MOUTH_OUTER_RIGHT, MOUTH_OUTER_LEFT.
FIVE_OF_SEVENTY = (68, 69, 30, 48, 54)
LANDMARK_COUNT = 70


def face_topic(face_id: str, name: str) -> str:
    """Topic of one face: `name` is roi, cropped, aligned, landmarks or softbiometrics."""
    return f"/humans/faces/{face_id}/{name}"


def person_topic(person_id: str, name: str) -> str:
    """Topic of one person: `name` is anonymous, face_id, alias, name or native_language."""
    return f"/humans/persons/{person_id}/{name}"


def is_installed() -> bool:
    """Whether hri_msgs can be imported; without it nothing is published under /humans."""
    return find_spec("hri_msgs") is not None
