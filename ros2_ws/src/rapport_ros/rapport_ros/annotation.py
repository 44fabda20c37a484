"""The annotated image: boxes, landmarks and what is believed about each face."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import cv2
import numpy as np

from rapport_edge.faces import ByteImage, DemographicEstimate, Track

MEASURED = (64, 220, 120)
PREDICTED = (240, 190, 60)
POINT = (255, 255, 255)


def annotate(image: ByteImage, tracks: Iterable[Track], estimates: Mapping[str, DemographicEstimate]) -> ByteImage:
    """A copy of the image with every face marked.

    Args:
        image: (h, w, 3) uint8 RGB.
        tracks: faces in this image; green boxes were detected, yellow ones predicted.
        estimates: by track id; a face without one is labelled with its id alone.
    """
    canvas = np.ascontiguousarray(image).copy()
    scale = max(canvas.shape[1] / 1280.0, 0.4)
    for track in tracks:
        _draw_face(canvas, track, describe(track.id, estimates.get(track.id)), scale)
    return canvas


def describe(face_id: str, estimate: DemographicEstimate | None) -> str:
    """One line about a face: "face_id  male 0.93  31 (24-39)"; what is unknown is said to be."""
    if estimate is None:
        return face_id
    words = [face_id]
    for attribute in estimate.attributes.values():
        words.append(
            f"{attribute.label} {attribute.confidence:.2f}" if attribute.label else f"{attribute.name} unknown"
        )
    if estimate.age is not None:
        age = estimate.age
        words.append(f"{age.mean:.0f} ({age.low:.0f}-{age.high:.0f})" if age.known else "age unknown")
    return "  ".join(words)


def _draw_face(canvas: ByteImage, track: Track, text: str, scale: float) -> None:
    colour = MEASURED if track.measured else PREDICTED
    thickness = max(1, round(3 * scale))
    # A prediction may lie far outside; OpenCV takes 32-bit integers only.
    limit = 4 * max(canvas.shape)
    x0, y0, x1, y1 = (int(value) for value in np.clip(np.rint(track.detection.box), -limit, limit))
    cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, thickness)
    for x, y in np.clip(np.rint(track.detection.landmarks), -limit, limit).astype(int).tolist():
        cv2.circle(canvas, (x, y), thickness, POINT, -1)
    _draw_text(canvas, text, (x0, y0), colour, scale)


def _draw_text(
    canvas: ByteImage, text: str, corner: tuple[int, int], colour: tuple[int, int, int], scale: float
) -> None:
    font, size, thickness = cv2.FONT_HERSHEY_SIMPLEX, 0.9 * scale, max(1, round(2 * scale))
    (width, height), baseline = cv2.getTextSize(text, font, size, thickness)
    x = min(max(corner[0], 0), max(canvas.shape[1] - width, 0))
    y = max(corner[1] - baseline - thickness, height + baseline)
    cv2.rectangle(canvas, (x, y - height - baseline), (x + width, y + baseline), colour, -1)
    cv2.putText(canvas, text, (x, y), font, size, (0, 0, 0), thickness, cv2.LINE_AA)
