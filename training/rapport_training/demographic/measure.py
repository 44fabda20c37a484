"""Evaluation of a bundle with the robot's code and default settings, as `rapport-edge evaluate` does it."""

from __future__ import annotations

import os
from pathlib import Path

from tqdm import tqdm

from rapport_edge.bundle import Bundle
from rapport_edge.detection import DetectorSettings, create_detector
from rapport_edge.encoding import create_encoder
from rapport_edge.engines import EngineSettings
from rapport_edge.evaluation import LabelledFaces, Report, evaluate
from rapport_training.data.user_faces import UserFaces


def measure(bundle: Bundle, faces: UserFaces | Path) -> Report:
    """The report on all faces of a data set's split, or of any Parquet file of labelled faces.

    Raises:
        DataSetError: if a face has no known age or gender.
    """
    threads = os.cpu_count() or 1
    path = faces.folder / f"{faces.split}.parquet" if isinstance(faces, UserFaces) else faces
    labelled = LabelledFaces(path)
    encoder = create_encoder(bundle, EngineSettings(threads=threads))
    with tqdm(total=len(labelled), unit="face", disable=None) as bar:
        return evaluate(bundle, encoder, create_detector(DetectorSettings()), labelled, threads, bar.update)
