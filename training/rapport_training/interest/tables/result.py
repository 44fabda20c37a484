"""What came out of the jobs of a suite, and what several seeds of a row have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from rapport_training.reporting.spread import Spread

#: Raised when a kept result could no longer be compared with a new one.
FORMAT = 1


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How well the samples of a group are ranked.

    Attributes:
        auc: area under the ROC curve of all samples together.
        gauc: the mean of each user's AUC, weighted by their samples, over users with both labels; None if there are
            none.
        log_loss: in nats.
        samples: how many.
    """

    auc: float
    gauc: float | None
    log_loss: float
    samples: int


class AgeSet(msgspec.Struct, frozen=True, kw_only=True):
    """One of the ten sets of Fig. 6.

    Attributes:
        name: "S1", the newest items, to "S10", the oldest.
        items, samples, positives: how many; each set has as many items as the others, not as many samples.
        first: when its oldest item appeared, Unix seconds.
        auc: of its samples; None where only one label occurs.
    """

    name: str
    items: int
    samples: int
    positives: int
    first: int
    auc: float | None


class CtrResult(msgspec.Struct, frozen=True, kw_only=True):
    """One trained click-through-rate model on the test samples.

    Attributes:
        key: of the job; what it depends on decides it.
        seed: of the training.
        test: all test samples; `new` those of items without a training sample, `known` the others. None for a group
            that is empty or has only one label.
        ages: Fig. 6; empty where the log does not say when items appeared.
        epochs: that were trained.
        parameters: numbers that were trained.
        seconds: wall-clock time of training and evaluation.
        commit: of the code.
    """

    format: int = FORMAT
    key: str
    seed: int
    test: Figures
    new: Figures | None
    known: Figures | None
    ages: list[AgeSet]
    epochs: int
    parameters: int
    seconds: float
    commit: str


class CostResult(msgspec.Struct, frozen=True, kw_only=True):
    """One cell pair of Table 6.

    Attributes:
        key: of the job.
        gflops: billions of floating-point operations per sample, as `torch.utils.flop_counter` counts them.
        memory: bytes at the peak of one step, above what the process held before it built the model.
        device: "cpu": resident memory; "cuda": what torch allocated.
        batch_size: samples of the step.
        items: different items of the step that were embedded; 0 with the representation centre.
        places: places of items in the step, targets and histories together.
        seconds: wall-clock time of the job.
    """

    format: int = FORMAT
    key: str
    gflops: float
    memory: int
    device: str
    batch_size: int
    items: int
    places: int
    seconds: float


class LogSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A log as the figures were measured on it.

    Attributes:
        title: for headings.
        protocol: in one line: "time 80/10/10, label = rating >= 4".
        digest: of the prepared samples.
        sizes: training, validation and test samples.
        items, users: in the vocabularies.
        new: test samples of items without a training sample.
        leakage: the leakage check in a line.
    """

    title: str
    protocol: str
    digest: str
    sizes: tuple[int, int, int]
    items: int
    users: int
    new: int
    leakage: str


#: By job: what came out.
Results = Mapping[str, CtrResult]

#: What is read of a result; None where it has none.
Metric = Callable[[CtrResult], "float | None"]


def spread(results: Results, keys: Iterable[str], metric: Metric) -> Spread | None:
    """Of a figure over the seeds of a row."""
    values = [metric(results[key]) for key in keys if key in results]
    return Spread.of([value for value in values if value is not None])


def gain(results: Results, keys: Iterable[str], base: Iterable[str], metric: Metric) -> Spread | None:
    """Of the differences from the base, seed by seed, so that what a seed does to both cancels out.

    Args:
        results: what came out.
        keys, base: jobs, in the same order of seeds.
        metric: what is compared.
    """
    pairs = [(results.get(one), results.get(other)) for one, other in zip(keys, base, strict=True)]
    values = [(metric(one), metric(other)) for one, other in pairs if one is not None and other is not None]
    return Spread.of([one - other for one, other in values if one is not None and other is not None])
