"""Measures the first layer of equation (4) on the tensor fusion (3): to the letter, and in other exact ways.

    OMP_NUM_THREADS=1 python training/benchmarks/tensor_fusion.py

Time is the median of some rounds in which every form takes its turn, forward and backward; memory is what autograd
keeps from the forward pass for the backward pass, parameters not counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import click
import torch
from torch import Tensor
from torch.nn import functional as F

from rapport_training.interest.content.fusion import TensorFusion, literal_fusion

Form = Callable[[Tensor, Tensor], Tensor]


def forms(width: int, hidden: int) -> tuple[dict[str, Form], list[Tensor]]:
    """By name, and the parameters that they share."""
    torch.manual_seed(0)
    fusion = TensorFusion(width, width, hidden)
    weight = fusion.literal_weight().detach().requires_grad_()

    def appended(vectors: Tensor) -> Tensor:
        return torch.cat([vectors, vectors.new_ones(len(vectors), 1)], dim=1)

    found: dict[str, Form] = {
        "literal (3), then W": lambda a, b: literal_fusion(a, b, weight),
        "torch.bilinear": lambda a, b: F.bilinear(appended(a), appended(b), weight),
        "einsum": lambda a, b: torch.einsum("ni,hij,nj->nh", appended(a), weight, appended(b)),
        "TensorFusion": fusion,
    }
    return found, [*fusion.parameters(), weight]


def measure(form: Form, a: Tensor, b: Tensor, own: set[int]) -> tuple[float, float, int]:
    """Seconds forward and backward, and numbers kept in between, those whose addresses are `own` not counted."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        started = time.perf_counter()
        value = form(a, b).square().mean()
        middle = time.perf_counter()
    value.backward()
    return middle - started, time.perf_counter() - middle, sum(kept.values())


@click.command()
@click.option("--items", default=512, show_default=True, help="n, distinct items of a batch.")
@click.option("--sizes", default="64x128,64x32,256x64", show_default=True, help="Width and hidden units, WxH,...")
@click.option("--rounds", default=7, show_default=True)
def main(items: int, sizes: str, rounds: int) -> None:
    """Prints a table in Markdown."""
    click.echo("| n | d | hidden | form | forward ms | backward ms | MB kept | error |")
    click.echo("|---|---|---|---|---|---|---|---|")
    for width, hidden in (tuple(int(part) for part in size.split("x")) for size in sizes.split(",")):
        found, parameters = forms(width, hidden)
        a, b = (torch.randn(items, width, requires_grad=True) for _ in range(2))
        own = {tensor.untyped_storage().data_ptr() for tensor in (a, b, *parameters)}
        exact = found["literal (3), then W"](a, b).detach()
        times: dict[str, list[tuple[float, float, int]]] = {name: [] for name in found}
        for _ in range(rounds):
            for name, form in found.items():
                times[name].append(measure(form, a, b, own))
        for name, form in found.items():
            forward, backward, kept = (statistics.median(column) for column in zip(*times[name], strict=True))
            error = float((form(a, b) - exact).abs().max().detach())
            click.echo(
                f"| {items} | {width} | {hidden} | {name} | {1e3 * forward:.1f} | {1e3 * backward:.1f} "
                f"| {4e-6 * kept:.1f} | {error:.0e} |"
            )


if __name__ == "__main__":
    main()
