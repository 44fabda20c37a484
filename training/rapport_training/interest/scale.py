"""The arithmetic of docs/scale.md: what the paper's size needs. `python -m rapport_training.interest.scale` prints it.

Nothing here was measured at that size. What the paper says, what is assumed and what follows are kept apart.
"""

from __future__ import annotations

from dataclasses import dataclass

GB = 1e9
HOUR = 3600.0
#: Equation (6) compares h^MM, h^img and h^txt.
LEVELS = 3
#: A string of a dozen characters, and its place in a dictionary with an integer.
ID_BYTES = 61 + 104
#: user, item, label, time, start, end and cold of a prepared sample.
SAMPLE_BYTES = 4 + 4 + 4 + 8 + 8 + 8 + 1


@dataclass(frozen=True)
class Paper:
    """What the paper says (Section 4.1 and Tables 1 and 6)."""

    samples: float = 1.83e9
    users: float = 0.12e9
    items: float = 16.16e6
    pretraining_items: float = 1.42e9
    pairs: float = 0.14e9
    batch: int = 1024
    queue: int = 10
    pretraining_gpus: int = 64
    csft_gpus: int = 40
    ctr_gpus: int = 100
    ctr_gigaflops: float = 0.182
    centre_bytes: float = 300e9


@dataclass(frozen=True)
class Assumed:
    """What it does not say; the widths are those of recipes/interest/paper-*.yaml.

    Attributes:
        width: d of h^MM.
        embedding: d of an id.
        history: behaviours per sample.
        behaviours: per user, on average, for the shared sequence.
        vision, language: parameters of EVA-02 base and BGE base that each token meets.
        vision_all, language_all: all parameters of theirs.
        patches, tokens: per picture and title.
        picture_bytes: one compressed picture of 224 pixels.
        a100, v100: FLOP/s in bfloat16 and in single precision, as their makers say.
        busy: share of that which a training reaches.
        network: bytes/s of one machine's card of 200 Gbit/s, shared by the 8 GPUs of a machine.
        samples_per_second: one process of a click model on two cores, as FuxiCTR's DIN was measured.
        rows_per_second: of the centre, in batches on one busy core (edge/docs/representation.md: 5 to 17 million).
        published_per_second: items, when a table of a million is written anew (the slowest of what was measured).
    """

    width: int = 256
    embedding: int = 16
    history: int = 1000
    behaviours: int = 500
    vision: float = 86e6
    vision_all: float = 86e6
    language: float = 85e6
    language_all: float = 109e6
    patches: int = 257
    tokens: int = 64
    picture_bytes: float = 20e3
    a100: float = 312e12
    v100: float = 15.7e12
    busy: float = 0.4
    network: float = 25e9
    samples_per_second: float = 19_000
    rows_per_second: float = 6e6
    published_per_second: float = 150_000


def negatives(batch: int, ranks: int, queue: int) -> int:
    """Of one query in C-SFT: 2NP(k + 1) - 1."""
    return 2 * batch * ranks * (queue + 1) - 1


def table_bytes(rows: float, width: int, *, adam: bool = True) -> float:
    """A float32 table, with Adam's two moments."""
    return rows * width * 4 * (3 if adam else 1)


def centre_bytes(items: float, width: int, value_bytes: int) -> float:
    """The published file: vector and key of 16 bytes in nine of ten slots, two bytes of pilot for four items."""
    return items * ((width * value_bytes + 16) / 0.9 + 0.5)


def gathered_bytes(batch: int, ranks: int, width: int) -> float:
    """What a rank receives of the others' items and hard negatives in a step: three float32 vectors of each."""
    return (ranks - 1) * batch * 2 * LEVELS * width * 4


def sparse_bytes(rows: float, width: int, ranks: int) -> float:
    """What a rank receives where each sends the gradients of so many rows of a table, with their numbers, to all."""
    return (ranks - 1) * rows * (width * 4 + 8)


def ring_bytes(parameters: float, ranks: int) -> float:
    """What a rank sends in an all-reduce of float32 gradients around a ring."""
    return 2 * (ranks - 1) / ranks * parameters * 4


def forward_flops(parameters: float, tokens: int) -> float:
    """Of a transformer: a multiplication and an addition per parameter and token; attention's products left out."""
    return 2 * parameters * tokens


def hours(flops: float, gpus: int, each: float, busy: float) -> float:
    """Of so many GPUs."""
    return flops / (gpus * each * busy) / HOUR


def lines(paper: Paper, assumed: Assumed) -> list[tuple[str, str]]:
    """(what, how much), in the order of the page."""
    return [*_memory(paper, assumed), *_network(paper, assumed), *_time(paper, assumed), *_storage(paper, assumed)]


def _memory(paper: Paper, a: Assumed) -> list[tuple[str, str]]:
    batch_rows = paper.batch * (a.history + 1)
    return [
        ("memory: users' id table with Adam", f"{table_bytes(paper.users, a.embedding) / GB:.1f} GB"),
        ("memory: items' id table with Adam", f"{table_bytes(paper.items, a.embedding) / GB:.1f} GB"),
        ("memory: encoders with gradients and Adam", f"{4 * 4 * (a.vision_all + a.language_all) / GB:.1f} GB"),
        ("memory: users' ids in a Python dictionary", f"{paper.users * ID_BYTES / GB:.0f} GB"),
        ("memory: centre, float32", f"{centre_bytes(paper.items, a.width, 4) / GB:.1f} GB"),
        ("memory: centre, float16", f"{centre_bytes(paper.items, a.width, 2) / GB:.1f} GB"),
        ("memory: the paper's 300 GB per item", f"{paper.centre_bytes / paper.items / 1e3:.1f} kB"),
        (
            "memory: the paper's 300 GB per item of pre-training",
            f"{paper.centre_bytes / paper.pretraining_items:.0f} B",
        ),
        ("memory: content rows of a batch, not shared", f"{batch_rows * a.width * 4 / GB:.2f} GB"),
        (
            "memory: negative queue of each rank",
            f"{2 * paper.batch * paper.csft_gpus * paper.queue * LEVELS * a.width * 4 / GB:.2f} GB",
        ),
        (
            "memory: logits of each rank, one of three levels",
            f"{paper.batch * (negatives(paper.batch, paper.csft_gpus, paper.queue) + 1) * 4 / GB:.1f} GB",
        ),
    ]


def _network(paper: Paper, a: Assumed) -> list[tuple[str, str]]:
    gathered = gathered_bytes(paper.batch, paper.csft_gpus, a.width)
    ring = ring_bytes(a.vision_all + a.language_all, paper.csft_gpus)
    return [
        ("network: negatives of a query", f"{negatives(paper.batch, paper.csft_gpus, paper.queue):,}"),
        ("network: gathered by a rank in a step", f"{gathered / 1e6:.0f} MB"),
        ("network: gradients sent by a rank in a step", f"{ring / GB:.2f} GB"),
        ("network: seconds for both, 8 ranks on a card", f"{8 * (gathered + ring) / a.network:.2f} s"),
        (
            "network: gradients of id rows received by a rank in a step of CiUBM",
            f"{sparse_bytes(paper.batch * (a.history + 2), a.embedding, paper.ctr_gpus) / GB:.1f} GB",
        ),
    ]


def _time(paper: Paper, a: Assumed) -> list[tuple[str, str]]:
    item = forward_flops(a.vision, a.patches) + forward_flops(a.language, a.tokens)
    triplet = 2 * item + forward_flops(a.vision, a.patches)
    loss = LEVELS * 3 * 2 * negatives(paper.batch, paper.csft_gpus, paper.queue) * a.width
    step = hours(3 * triplet * paper.batch, 1, a.a100, a.busy) * HOUR
    alone = paper.samples / a.samples_per_second / HOUR
    reads = paper.samples * (a.history + 1) / a.rows_per_second / HOUR
    return [
        ("time: forward pass of an item", f"{item / 1e9:.0f} GFLOP"),
        (
            "time: an epoch of pre-training",
            f"{hours(3 * item * paper.pretraining_items, paper.pretraining_gpus, a.a100, a.busy):.1f} h",
        ),
        ("time: an epoch of C-SFT", f"{hours(3 * triplet * paper.pairs, paper.csft_gpus, a.a100, a.busy):.1f} h"),
        ("time: a step of C-SFT", f"{step:.2f} s"),
        ("time: share of the loss in a triplet's work", f"{100 * loss / (3 * triplet + loss):.1f} %"),
        ("time: embedding the items, one A100", f"{hours(item * paper.items, 1, a.a100, a.busy):.1f} h"),
        ("time: embedding the items, eight", f"{60 * hours(item * paper.items, 8, a.a100, a.busy):.0f} min"),
        (
            "time: CiUBM by its FLOP alone",
            f"{60 * hours(paper.ctr_gigaflops * 1e9 * paper.samples, paper.ctr_gpus, a.v100, a.busy):.0f} min",
        ),
        ("time: CiUBM at 19,000 samples/s, one process", f"{alone:.0f} h"),
        ("time: the same, 100 processes", f"{alone / paper.ctr_gpus:.1f} h"),
        ("time: reading all content rows, one core, nothing shared", f"{reads:.0f} h"),
        ("time: publishing all items anew", f"{paper.items / a.published_per_second / 60:.1f} min"),
    ]


def _storage(paper: Paper, a: Assumed) -> list[tuple[str, str]]:
    return [
        ("storage: pictures of pre-training", f"{paper.pretraining_items * a.picture_bytes / 1e12:.0f} TB"),
        ("storage: pictures read per second of pre-training", f"{_picture_rate(paper, a) / GB:.1f} GB/s"),
        ("storage: histories written out", f"{paper.samples * a.history * 4 / 1e12:.1f} TB"),
        ("storage: histories as parts of one sequence", f"{paper.users * a.behaviours * 12 / GB:.0f} GB"),
        ("storage: samples that point into it", f"{paper.samples * SAMPLE_BYTES / GB:.0f} GB"),
        ("storage: authority of the centre", f"{paper.items * (a.width * 4 + 120) / GB:.0f} GB"),
    ]


def _picture_rate(paper: Paper, a: Assumed) -> float:
    item = forward_flops(a.vision, a.patches) + forward_flops(a.language, a.tokens)
    per_second = paper.pretraining_gpus * a.a100 * a.busy / (3 * item)
    return per_second * a.picture_bytes


def main() -> None:
    """Prints the table of the page."""
    for what, amount in lines(Paper(), Assumed()):
        print(f"| {what} | {amount} |")


if __name__ == "__main__":
    main()
