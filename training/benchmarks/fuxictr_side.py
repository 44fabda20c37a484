"""FuxiCTR's side of `click_models.py`: trains one of its models from its repository, in an environment of its own.

    PYTHON_OF_ITS_ENVIRONMENT fuxictr_side.py --fuxictr CHECKOUT --model DIN --train CSV --test CSV --work FOLDER

The last line is JSON: the validation AUC and the seconds of training of every epoch, without evaluation. Needs
FuxiCTR's own dependencies and nothing of Rapport's.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

SHARED = {
    "task": "binary_classification",
    "loss": "binary_crossentropy",
    "metrics": ["logloss", "AUC"],
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "embedding_regularizer": 0,
    "net_regularizer": 0,
    "batch_size": 1024,
    "embedding_dim": 16,
    "dnn_hidden_units": [128, 64],
    "dnn_activations": "relu",
    "net_dropout": 0.1,
    "batch_norm": True,
    "monitor": "AUC",
    "monitor_mode": "max",
    "verbose": 0,
    "save_best_only": True,
    "early_stop_patience": 10,  # DIEN and BST stay near chance for three epochs
    "data_format": "csv",
    "shuffle": True,
    "pickle_feature_encoder": True,
    "rebuild_dataset": True,
    "streaming": False,
}
TARGET, HISTORY = ("item_id", "cate_id"), ("item_history", "cate_history")
MODELS: dict[str, dict[str, Any]] = {
    "DIN": {
        "attention_hidden_units": [64],
        "attention_hidden_activations": "Dice",
        "attention_output_activation": None,
        "attention_dropout": 0,
        "din_target_field": [TARGET],
        "din_sequence_field": [HISTORY],
        "din_use_softmax": False,
    },
    "DIEN": {
        "dien_target_field": [TARGET],
        "dien_sequence_field": [HISTORY],
        "dien_neg_seq_field": [],
        "gru_type": "AUGRU",
        "attention_type": "bilinear_attention",
        "attention_hidden_units": [64],
        "attention_activation": "Dice",
        "aux_loss_alpha": 0,
    },
    "BST": {
        "bst_target_field": [TARGET],
        "bst_sequence_field": [HISTORY],
        "num_heads": 4,
        "stacked_transformer_layers": 1,
        "seq_pooling_type": "mean",
    },
}


def main() -> None:
    """Trains and prints."""
    options = _options()
    sys.path[:0] = [str(options.fuxictr), str(options.fuxictr / "model_zoo" / options.model)]
    logging.basicConfig(level=logging.WARNING)
    import torch

    if "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    params = _params(options)
    model, training, validation = _model(options, params)
    print(json.dumps(_train(model, training, validation, params, options.epochs)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fuxictr", type=Path, required=True)
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--validation", type=Path, help="by default the test file")
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="its features and checkpoints")
    parser.add_argument("--longest", type=int, default=20, help="behaviours of a history")
    parser.add_argument("--seed", type=int, default=2022)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=3, help="processes of its loader; 3 is its default")
    parser.add_argument("--user-id", action="store_true", help="the user's id is a feature, too")
    return parser.parse_args()


def _params(options: argparse.Namespace) -> dict[str, Any]:
    return {
        **SHARED,
        **MODELS[options.model],
        "model": options.model,
        "model_id": f"{options.model}_{options.seed}",
        "dataset_id": options.work.name,
        "data_root": str(options.work.parent),
        "model_root": str(options.work / "checkpoints"),
        "train_data": str(options.train),
        "valid_data": str(options.validation or options.test),
        "test_data": str(options.test),
        "num_workers": options.workers,
        "seed": options.seed,
        "gpu": -1,
        "feature_cols": _columns(options.longest, user_id=options.user_id),
        "label_col": {"name": "label", "dtype": "float"},
    }


def _columns(longest: int, *, user_id: bool) -> list[dict[str, Any]]:
    names = ["user_id"] * user_id + list(TARGET)
    columns: list[dict[str, Any]] = [
        {"name": names, "active": True, "dtype": "str", "type": "categorical"},
    ]
    for name, shared in zip(HISTORY, TARGET, strict=True):
        columns.append(
            {
                "name": name,
                "active": True,
                "dtype": "str",
                "type": "sequence",
                "splitter": "^",
                "max_len": longest,
                "padding": "post",
                "share_embedding": shared,
                "feature_encoder": None,
            }
        )
    return columns


def _model(options: argparse.Namespace, params: dict[str, Any]) -> tuple[Any, Any, Any]:
    from fuxictr.features import FeatureMap
    from fuxictr.preprocess import FeatureProcessor, build_dataset
    from fuxictr.pytorch.dataloaders import RankDataLoader
    from fuxictr.pytorch.torch_utils import seed_everything

    seed_everything(seed=params["seed"])
    (Path(params["model_root"]) / params["dataset_id"]).mkdir(parents=True, exist_ok=True)
    encoder = FeatureProcessor(**params)
    params["train_data"], params["valid_data"], params["test_data"] = build_dataset(encoder, **params)
    folder = Path(params["data_root"]) / params["dataset_id"]
    features = FeatureMap(params["dataset_id"], str(folder))
    features.load(str(folder / "feature_map.json"), params)
    model = getattr(importlib.import_module("src"), params["model"])(features, **params)
    return model, *RankDataLoader(features, stage="train", **params).make_iterator()


def _train(model: Any, training: Any, validation: Any, params: dict[str, Any], epochs: int) -> dict[str, Any]:
    found: dict[str, Any] = {"auc": [], "seconds": [], "samples": training.num_samples}
    evaluate, train_epoch = model.evaluate, model.train_epoch
    evaluating = 0.0

    def timed_evaluate(*arguments: Any, **named: Any) -> Any:
        nonlocal evaluating
        started = time.perf_counter()
        figures = evaluate(*arguments, **named)
        evaluating += time.perf_counter() - started
        found["auc"].append(figures["AUC"])
        return figures

    def timed_epoch(generator: Any) -> None:
        nonlocal evaluating
        started, evaluating = time.perf_counter(), 0.0
        train_epoch(generator)
        found["seconds"].append(time.perf_counter() - started - evaluating)

    model.evaluate, model.train_epoch = timed_evaluate, timed_epoch
    model.fit(training, validation_data=validation, epochs=epochs, **{k: v for k, v in params.items() if k != "epochs"})
    return found


if __name__ == "__main__":
    main()
