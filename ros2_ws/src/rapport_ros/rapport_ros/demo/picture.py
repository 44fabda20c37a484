"""The annotated view of the astronaut that the README shows, made by the robot's own pipeline and drawing."""

from __future__ import annotations

from pathlib import Path

from rapport_edge.atomic import write_atomically
from rapport_edge.errors import RapportError, SettingsError
from rapport_edge.faces import ByteImage
from rapport_edge.pipeline import PipelineSettings, create_pipeline
from rapport_ros.annotation import annotate
from rapport_ros.playback.astronaut import HEIGHT, PATH, WIDTH, photograph
from rapport_ros.playback.camera_view import view
from rapport_ros.playback.frames import DEFAULT_RATE, encode_jpeg

#: The part of the path in which the camera comes near, seconds.
BEGIN, END = 0.5, 2.0


def write_picture(target: Path, settings: PipelineSettings) -> None:
    """Writes the picture as JPEG, whole or not at all.

    Raises:
        RapportError: if the models cannot be loaded or find no face.
        SettingsError: if the file cannot be written.
    """
    jpeg = encode_jpeg(annotated_view(settings))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, jpeg)
    except OSError as error:
        raise SettingsError(f"{target} cannot be written: {error.strerror or error}") from error


def annotated_view(settings: PipelineSettings) -> ByteImage:
    """The last detected view of the camera's approach, with what is believed by then: (480, 640, 3) uint8 RGB."""
    pipeline = create_pipeline(settings)
    astronaut = photograph()
    annotated: ByteImage | None = None
    for number in range(round(BEGIN * DEFAULT_RATE), round(END * DEFAULT_RATE)):
        seconds = number / DEFAULT_RATE
        image = view(astronaut, PATH.at(seconds), WIDTH, HEIGHT)
        faces = pipeline.process(image, seconds).faces
        if any(face.track.measured for face in faces):
            estimates = {face.track.id: face.estimate for face in faces if face.estimate is not None}
            annotated = annotate(image, [face.track for face in faces], estimates)
    if annotated is None:
        raise RapportError("the detector found no face in the astronaut photograph")
    return annotated
