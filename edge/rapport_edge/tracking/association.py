"""Which box belongs to which track: OC-SORT from trackforge."""

from __future__ import annotations

from collections.abc import Sequence

from trackforge import OCSORT

from rapport_edge.faces import Detection

#: Frames that the library keeps a track without a box; the face tracker ends its tracks earlier, by detector misses.
_MAX_AGE = 30


class BoxAssociation:
    """Numbers for boxes that stay the same from frame to frame.

    OC-SORT (Cao et al. 2023) is SORT (Kalman filter and assignment by overlap) that also tries a track's last seen
    place when the filter's prediction fails, which suits heads: they start and stop.
    """

    def __init__(self, min_iou: float) -> None:
        # One hit confirms: whether a track is reported is decided by detector hits, which the library cannot tell
        # from boxes that were followed by optical flow.
        self._library = OCSORT(max_age=_MAX_AGE, min_hits=1, iou_threshold=min_iou)

    def step(self, faces: Sequence[Detection]) -> list[int]:
        """Advances by one frame and gives each face's number, a new one where no track fits."""
        rows = [(_tlwh(face), face.score, 0) for face in faces]
        numbers: list[int | None] = [None] * len(faces)
        for number, _, _, _, index in self._library.update(rows):
            if index is not None:
                numbers[index] = number
        missing = [index for index, number in enumerate(numbers) if number is None]
        if missing:
            raise RuntimeError(f"the tracking library returned no track for boxes {missing}")
        return [number for number in numbers if number is not None]


def _tlwh(face: Detection) -> list[float]:
    x0, y0, x1, y1 = (float(value) for value in face.box)
    return [x0, y0, x1 - x0, y1 - y0]
