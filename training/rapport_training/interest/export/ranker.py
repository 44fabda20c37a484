"""`rapport-train interest export`: a trained click model becomes an interest-ranker bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from rapport_edge.bundle import Bundle, write_bundle
from rapport_edge.bundle.manifest import (
    FORMAT_VERSION,
    DataSet,
    Golden,
    InterestRanker,
    Licence,
    Metric,
    Model,
    TensorSpec,
)
from rapport_edge.engines import Engine, EngineSettings, create_engine
from rapport_edge.errors import RapportError
from rapport_training.commit import current_commit
from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.metrics import CtrMetrics
from rapport_training.interest.data.content_table import ContentTable
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.export.bundle_files import RankerFiles, ranker_files
from rapport_training.interest.export.card import CARD_NAME, CardFacts, model_card
from rapport_training.interest.export.cases import Case, golden_case, random_cases, real_cases, scores_of
from rapport_training.interest.export.folding import folded
from rapport_training.interest.export.graph import GraphInputs, RankerGraph, export_graph
from rapport_training.interest.export.parity import Translator, check_parity, largest_change
from rapport_training.interest.export.vocabulary import KeptIds, keep_ids

ONNX_NAME: Final = "ranker.onnx"
GOLDEN_NAME: Final = "golden.npz"
#: Another engine rounds sums differently than ONNX Runtime on the exporter's CPU.
GOLDEN_TOLERANCE: Final = 1e-4
_RANDOM_CASES: Final = 24
_REAL_CASES: Final = 24
_CANDIDATES: Final = 32


@dataclass(frozen=True)
class ExportedRanker:
    """A graph and all that its bundle is made of.

    Attributes:
        onnx: the graph.
        inputs: of the graph.
        tables: vocabularies, catalogue, embeddings.
        golden: arrays of the golden case.
        parity: largest difference of a score to training's.
        rounding: how far float16 embeddings move a score at most, on real histories.
    """

    onnx: bytes
    inputs: GraphInputs
    tables: RankerFiles
    golden: Mapping[str, NDArray[Any]]
    parity: float
    rounding: float


def assemble_ranker(
    model: CtrModel, prepared: PreparedLog, content: ContentTable | None, log: BehaviourLog | None = None
) -> ExportedRanker:
    """Exports the graph and holds it against training's own forward pass, on random and on real histories.

    Args:
        model: in evaluation mode, with the tables of `prepared`.
        prepared: what it was trained on.
        content: of a model with content.
        log: for titles and names of values.

    Raises:
        RapportError: if the graph cannot be exported, or scores differently.
    """
    used = content if model.recipe.uses_content else None
    items = KeptIds.of(prepared.item_values)
    users = KeptIds.of(prepared.user_values) if model.recipe.use_user_id else None
    graph = RankerGraph(folded(model)).eval()
    keep_ids(graph.model.items, items)
    if users is not None:
        keep_ids(graph.model.users, users)
    longest = model.recipe.history_length
    translator = Translator(model, graph.inputs, items, users)
    random = list(random_cases(model, graph.inputs.content_dim, longest, _RANDOM_CASES))
    onnx_file = _exported(graph, translator, random, longest)
    engine = create_engine(onnx_file, EngineSettings(name="onnxruntime-cpu"))
    real = list(real_cases(prepared, used, longest, _REAL_CASES, _CANDIDATES))
    golden = golden_case(model, used, longest, _CANDIDATES)
    parity = check_parity(model, engine, translator, [*random, *real, golden])
    return ExportedRanker(
        onnx=onnx_file,
        inputs=graph.inputs,
        tables=ranker_files(prepared, log, items, users, used),
        golden={
            **{f"input:{name}": value for name, value in translator.feeds(golden).items()},
            "output:scores": scores_of(model, golden),
        },
        parity=parity,
        rounding=_rounding(engine, translator, real) if used is not None else 0.0,
    )


def write_ranker(
    exported: ExportedRanker,
    model: CtrModel,
    prepared: PreparedLog,
    facts: CardFacts,
    folder: Path,
    *,
    overwrite: bool = False,
) -> Bundle:
    """Writes the bundle with its model card.

    Args:
        exported: from `assemble_ranker`.
        model: as it was trained.
        prepared: what it was trained on.
        facts: name, version, figures and what else the card says.
        folder: where the bundle goes.
        overwrite: replace a bundle that is there.
    """
    manifest = _manifest(exported, model, prepared, facts)
    files = {
        **exported.tables.files,
        ONNX_NAME: exported.onnx,
        GOLDEN_NAME: dict(exported.golden),
        CARD_NAME: model_card(manifest, model.recipe, facts, exported.parity, exported.rounding).encode(),
    }
    return write_bundle(folder, manifest, files, overwrite=overwrite)


def _exported(graph: RankerGraph, translator: Translator, cases: list[Case], longest: int) -> bytes:
    """The file; an example needs two candidates and two events, because an axis of one would be frozen."""
    if longest < 2:
        raise RapportError("a ranker with a history of one event cannot be exported; train it with at least two")
    case = next(case for case in cases if len(case.items) > 1 and len(case.history) == longest)
    example = {name: torch.from_numpy(value) for name, value in translator.feeds(case).items()}
    try:
        return export_graph(graph, example, longest)
    except torch.onnx.OnnxExporterError as error:
        recipe = graph.model.recipe
        raise RapportError(
            f"the model {recipe.model!r} of recipe {recipe.name} cannot be exported: {str(error).splitlines()[-1]}"
        ) from error


def _rounding(engine: Engine, translator: Translator, cases: list[Case]) -> float:
    def rounded(case: Case) -> Case:
        assert case.item_content is not None
        assert case.history_content is not None
        halves = (case.item_content.astype(np.float16), case.history_content.astype(np.float16))
        return replace(case, item_content=halves[0].astype(np.float32), history_content=halves[1].astype(np.float32))

    changes = (largest_change(engine, translator.feeds(case), translator.feeds(rounded(case))) for case in cases)
    return max(changes, default=0.0)


def _manifest(exported: ExportedRanker, model: CtrModel, prepared: PreparedLog, facts: CardFacts) -> InterestRanker:
    shapes = exported.inputs.shapes
    whole = ("user", "items", "history")
    specs = [TensorSpec(name=n, shape=s, dtype="int64" if n in whole else "float32") for n, s in shapes.items()]
    return InterestRanker(
        format_version=FORMAT_VERSION,
        name=facts.name,
        version=facts.version,
        description=f"Interest ranker: {model.recipe.model}{' with MIM' if model.recipe.uses_content else ''}",
        models=(
            Model(
                file=ONNX_NAME,
                inputs=tuple(specs),
                outputs=(TensorSpec(name="scores", shape=("items",), dtype="float32"),),
                golden=Golden(file=GOLDEN_NAME, tolerance=GOLDEN_TOLERANCE),
            ),
        ),
        licences=(
            Licence(applies_to="weights", licence=facts.licence),
            Licence(applies_to="code", licence="Apache-2.0"),
        ),
        datasets=(DataSet(name=prepared.name, role="training and evaluation", licence=facts.licence),),
        metrics=() if facts.metrics is None else _metrics(facts.metrics, f"{prepared.name} test"),
        commit=current_commit(),
        created=date.today().isoformat(),
        history_length=model.recipe.history_length,
        item_fields=exported.tables.item_fields,
        user_fields=exported.tables.user_fields,
        content=exported.tables.content,
        catalogue="catalogue.json",
        protocol=prepared.protocol,
    )


def _metrics(found: CtrMetrics, split: str) -> tuple[Metric, ...]:
    figures = {"auc": found.auc, "gauc": found.gauc, "log_loss": found.log_loss}
    return tuple(
        Metric(name=name, value=value, split=split, n=found.n) for name, value in figures.items() if np.isfinite(value)
    )
