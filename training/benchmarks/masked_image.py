"""What masked image modelling costs: a training step with and without it, against its arithmetic.

    python training/benchmarks/masked_image.py                                  # a compact tower, minutes
    python training/benchmarks/masked_image.py --model ViT-B-16-quickgelu --batch-size 16 --steps 3

A step is image tower, text tower on the distinct captions, equation (1), backward pass and AdamW. Masked image
modelling adds a second pass of the image tower, one block and the classifier at masked places, counted by torch's FLOP
counter forward and backward. The overhead is the measured ratio of the two steps' times over the counted ratio; at most
1.10. Pictures are random: the arithmetic does not depend on them. Steps of both kinds take turns, so that other work on
the machine slows both alike; each figure is a median.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from rapport_training.demographic.loss import contrastive_loss
from rapport_training.demographic.model import build_model
from rapport_training.demographic.recipe import MaskedImage
from rapport_training.masked_image.head import MaskedImageHead
from rapport_training.masked_image.masks import draw_masks
from rapport_training.masked_image.objective import masked_image_objective

COMPACT = {
    "embed_dim": 192,
    "vision_cfg": {"image_size": 64, "patch_size": 8, "width": 192, "layers": 6, "head_width": 64},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 3},
    "quick_gelu": True,
}
Step = Callable[[bool], None]


def main() -> None:
    """Prints the figures as JSON."""
    options = _options()
    torch.manual_seed(0)
    step = _step(options)
    flops = {masked: _flops(step, masked) for masked in (False, True)}
    seconds = _seconds(step, options.steps, options.device)
    counted, measured = flops[True] / flops[False], seconds[True] / seconds[False]
    report = {
        "model": options.model,
        "batch_size": options.batch_size,
        "vocabulary": options.vocabulary,
        "threads": torch.get_num_threads(),
        "gigaflop_per_step": {"without": flops[False] / 1e9, "with": flops[True] / 1e9},
        "seconds_per_step": {"without": seconds[False], "with": seconds[True]},
        "counted_ratio": counted,
        "measured_ratio": measured,
        "overhead": measured / counted,
        "masks_per_second": _masks_per_second(options),
    }
    print(json.dumps(report, indent=2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="compact", help="compact, or a name of open_clip's")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--captions", type=int, default=32, help="distinct captions in a batch")
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def _step(options: argparse.Namespace) -> Step:
    """A function that makes one optimizer step, with masked image modelling or without."""
    device, n = options.device, options.batch_size
    model = build_model(COMPACT if options.model == "compact" else options.model).to(device).train()
    head = MaskedImageHead(model.visual, options.vocabulary).to(device)
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=1e-5, fused=True)
    objective = masked_image_objective(head, model.visual, MaskedImage(weight=1.0))
    size, patches = model.visual.image_size[0], model.visual.grid_size[0] ** 2
    crops, plain = (torch.randn(n, 3, size, size, device=device) for _ in range(2))
    texts = torch.randint(1, 40_000, (options.captions, model.context_length), device=device)
    caption_of = torch.arange(n, device=device) % options.captions
    tokens = torch.randint(options.vocabulary, (n, patches), device=device)
    rng = np.random.default_rng(0)

    def step(masked: bool) -> None:
        images = F.normalize(model.encode_image(crops), dim=-1)
        captions = F.normalize(model.encode_text(texts), dim=-1)
        loss = contrastive_loss(images, captions, caption_of, model.logit_scale.exp())
        if masked:
            loss = loss + objective(plain, tokens, rng)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _flops(step: Step, masked: bool) -> int:
    with FlopCounterMode(display=False) as counter:
        step(masked)
    return counter.get_total_flops()


def _seconds(step: Step, steps: int, device: str) -> dict[bool, float]:
    """Median seconds of a step without and with; processor time where the processor computes, else wall clock."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(steps + 1):
        for masked, times in taken.items():
            began = clock()
            step(masked)
            if device != "cpu":
                torch.cuda.synchronize()
            times.append(clock() - began)
    return {masked: statistics.median(times[1:]) for masked, times in taken.items()}


def _masks_per_second(options: argparse.Namespace) -> dict[str, Any]:
    rng, rates = np.random.default_rng(0), {}
    for kind in ("block", "random"):
        began = time.perf_counter()
        for _ in range(10):
            draw_masks(kind, options.batch_size, 14, 75, rng)
        rates[kind] = round(10 * options.batch_size / (time.perf_counter() - began))
    return rates


if __name__ == "__main__":
    main()
