"""Our DIN, DIEN and BST against FuxiCTR's, on the same samples with the same settings, in the same run.

    OMP_NUM_THREADS=2 python benchmarks/click_models.py --fuxictr CHECKOUT --python PYTHON_OF_ITS_ENVIRONMENT \
        --click-log click_log.py --work FOLDER --json OUT.json
    ... --movielens PREPARED     as well, on prepared samples with an honest split

Samples per second are of training epochs alone, without evaluation and preparation, of both in processes of their own
with the same number of threads; the two take turns, so that other work on the machine slows both alike. What is
measured of FuxiCTR is in `fuxictr_side.py`, what of ours in the recipes fuxictr-*.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rapport_training.interest.data.prepared import PreparedLog, Samples, Split

HERE = Path(__file__).parent
MODELS = ("DIN", "DIEN", "BST")
COLUMNS = "label,user_id,item_id,cate_id,item_history,cate_history"


def main() -> None:
    """Prints tables, or as a child process trains one of our models."""
    options = _options()
    if options.ours:
        print(json.dumps(_train_ours(options)))
        return
    options.work.mkdir(parents=True, exist_ok=True)
    data = dict(_data_sets(options))
    found = {name: _compare(options, name, files) for name, files in data.items()}
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fuxictr", type=Path, help="checkout of its repository")
    parser.add_argument("--python", type=Path, help="interpreter of its environment")
    parser.add_argument("--click-log", type=Path, help="script that writes train.csv and test.csv into a folder")
    parser.add_argument("--movielens", type=Path, help="prepared samples")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[2022, 2023, 2024])
    parser.add_argument("--peer-seeds", nargs="+", type=int, default=[2022])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=3, help="of FuxiCTR's loader; 3 is its default")
    parser.add_argument("--user-id", action="store_true", help="the user's id is a feature, for both")
    parser.add_argument("--ours", choices=MODELS, help=argparse.SUPPRESS)
    parser.add_argument("--prepared", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--longest", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _data_sets(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name -> FuxiCTR's files, our prepared samples, and the longest history."""
    from rapport_training.interest.data.fuxictr_prepared import prepare_fuxictr

    if options.click_log:
        folder = options.work / "click_log"
        if not (folder / "test.csv").is_file():
            subprocess.run([sys.executable, str(options.click_log), str(folder)], check=True)
        train, test = folder / "train.csv", folder / "test.csv"
        prepared = prepare_fuxictr(train, test, None, folder / "prepared", overwrite=True)
        yield "click log", {"train": train, "validation": test, "test": test, "prepared": prepared.path, "longest": 20}
    if options.movielens:
        folder = options.work / "movielens"
        folder.mkdir(exist_ok=True)
        prepared, longest = PreparedLog.open(options.movielens), 50
        files = {split: folder / f"{split}.csv" for split in ("train", "validation", "test")}
        for split, path in files.items():
            _write_csv(prepared, split, path, longest)  # type: ignore[arg-type]
        # Both train on the CSV's columns alone: id and category, and no other attribute.
        same = prepare_fuxictr(files["train"], files["test"], files["validation"], folder / "prepared", overwrite=True)
        yield f"{prepared.name}, {prepared.protocol}", {**files, "prepared": same.path, "longest": longest}


def _write_csv(prepared: PreparedLog, split: Split, path: Path, longest: int) -> None:
    """A split in FuxiCTR's layout, with the newest `longest` behaviours."""
    category = _categories(prepared)
    samples: Samples = prepared.samples(split)
    with path.open("w") as file:
        file.write(COLUMNS + "\n")
        for row in range(len(samples)):
            item, end = int(samples.item[row]), int(samples.end[row])
            history = np.asarray(prepared.sequence[max(int(samples.start[row]), end - longest) : end])
            parts = [
                str(int(samples.label[row] >= 0.5)),
                str(samples.user[row]),
                str(item),
                str(category[item]),
                "^".join(map(str, history)),
                "^".join(map(str, category[history])),
            ]
            file.write(",".join(parts) + "\n")


def _categories(prepared: PreparedLog) -> np.ndarray:
    """(items,) each item's category."""
    column = 0
    for field in prepared.item_fields:
        if field.name == "category":
            return np.asarray(prepared.item_values[:, column])
        column += field.columns
    return np.zeros(len(prepared.item_values), np.int32)


def _compare(options: argparse.Namespace, name: str, files: dict[str, Any]) -> dict[str, Any]:
    print(f"\n{name}; {os.environ.get('OMP_NUM_THREADS', 'all')} threads")
    print(f"{'model':6}{'side':9}{'AUC of each seed':34}{'mean':>8}{'samples/s':>12}{'ratio':>8}", flush=True)
    found: dict[str, Any] = {}
    for model in options.models:
        runs: dict[str, list[dict[str, Any]]] = {"ours": [], "FuxiCTR": []}
        for place in range(max(len(options.seeds), len(options.peer_seeds))):
            if place < len(options.seeds):
                runs["ours"].append(_child(_our_command(options, model, files, options.seeds[place])))
            if place < len(options.peer_seeds):
                runs["FuxiCTR"].append(_child(_peer_command(options, model, files, options.peer_seeds[place])))
        found[model] = _row(model, runs)
    return found


def _row(model: str, runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Prints two lines; a run's AUC is that of its best epoch, as both keep its weights."""
    row: dict[str, Any] = {}
    for side, results in runs.items():
        if not results:
            continue
        aucs = [max(result["auc"]) for result in results]
        speeds = [result["samples"] / seconds for result in results for seconds in result["seconds"]]
        row[side] = {"auc": aucs, "mean": statistics.fmean(aucs), "samples_per_s": statistics.median(speeds)}
        row[side]["runs"] = results
    ratio = row["ours"]["samples_per_s"] / row["FuxiCTR"]["samples_per_s"] if "FuxiCTR" in row else float("nan")
    for side, part in row.items():
        each = " ".join(f"{auc:.4f}" for auc in part["auc"])
        shown = f"{ratio:8.2f}" if side == "ours" else ""
        print(f"{model:6}{side:9}{each:34}{part['mean']:8.4f}{part['samples_per_s']:12,.0f}{shown}", flush=True)
    return {**row, "ratio": ratio}


def _child(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _our_command(options: argparse.Namespace, model: str, files: dict[str, Any], seed: int) -> list[str]:
    work = options.work / f"ours_{files['prepared'].parent.name}_{model}_{seed}"
    command = [sys.executable, str(Path(__file__)), "--ours", model, "--prepared", str(files["prepared"])]
    command += ["--work", str(work), "--seed", str(seed), "--epochs", str(options.epochs)]
    return [*command, "--longest", str(files["longest"]), *(["--user-id"] if options.user_id else [])]


def _peer_command(options: argparse.Namespace, model: str, files: dict[str, Any], seed: int) -> list[str]:
    work = options.work / f"fuxictr_{files['prepared'].parent.name}_{model}_{seed}"
    command = [str(options.python), str(HERE / "fuxictr_side.py"), "--fuxictr", str(options.fuxictr)]
    for name in ("train", "validation", "test"):
        command += [f"--{name}", str(files[name].resolve())]
    command += ["--model", model, "--work", str(work.resolve()), "--seed", str(seed), "--epochs", str(options.epochs)]
    command += ["--workers", str(options.workers), "--longest", str(files["longest"])]
    return [*command, *(["--user-id"] if options.user_id else [])]


def _train_ours(options: argparse.Namespace) -> dict[str, Any]:
    """The same figures as `fuxictr_side.py`'s."""
    import csv

    import lightning.pytorch as pl
    import msgspec

    from rapport_training.interest.ctr.fit import fit_ctr
    from rapport_training.interest.ctr.recipe import load_ctr_recipe

    class Clock(pl.Callback):
        seconds: list[float] = []  # noqa: RUF012 - one instance
        started = 0.0

        def on_train_epoch_start(self, *_: Any) -> None:
            self.started = time.perf_counter()

        def on_validation_start(self, *_: Any) -> None:
            self.seconds.append(time.perf_counter() - self.started)

    prepared, clock = PreparedLog.open(options.prepared), Clock()
    recipe = load_ctr_recipe(f"fuxictr-{options.ours.lower()}")
    recipe = msgspec.structs.replace(
        recipe, epochs=options.epochs, history_length=options.longest, use_user_id=options.user_id, seed=options.seed
    )
    fit_ctr(recipe, prepared, options.work, devices=1, progress=False, resume=False, callbacks=[clock])
    rows = list(csv.DictReader((options.work / "history.csv").open()))
    aucs = [float(row["val/auc"]) for row in rows]
    return {"auc": aucs, "seconds": clock.seconds, "samples": len(prepared.samples("train"))}


if __name__ == "__main__":
    main()
