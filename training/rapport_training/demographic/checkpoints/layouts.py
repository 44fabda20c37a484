"""Who wrote a checkpoint, and its weights under open_clip's names.

| layout       | written by | what is special |
|--------------|------------|-----------------|
| openai       | OpenAI's releases such as ViT-B-16.pt (Radford et al. 2021) | a TorchScript archive, mostly in half precision, with three constants among the weights; or a plain state dict with these constants |
| open_clip    | open_clip, by training, `torch.save` or `save_file` | the names of the model itself |
| transformers | `CLIPModel.save_pretrained` | names of its own, query, key and value apart; config.json beside it |
| farl         | FaRL (Zheng et al. 2022), FaRL-Base-Patch16-*.pth | OpenAI's names, and 17 tensors of the masked image head inside `visual.` |
| run          | this project's training | Lightning's checkpoint: `model.` before open_clip's names, `masked_image.` before the head's |

A state dict in OpenAI's names without the constants counts as open_clip's: nothing tells them apart.
"""  # noqa: E501 - a table

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor

from rapport_training.demographic.checkpoints.errors import CheckpointError
from rapport_training.demographic.checkpoints.files import OPENAI_CONSTANTS, Contents, read_contents, weight_file
from rapport_training.demographic.checkpoints.transformers_names import from_transformers

Layout = Literal["openai", "open_clip", "transformers", "farl", "run"]

_BLOCK_PARTS = ("attn.in_proj_", "attn.out_proj.", "ln_1.", "ln_2.", "mlp.c_fc.", "mlp.c_proj.")
#: The tensors of FaRL's masked image head, without the prefix "visual.".
MASKED_IMAGE_NAMES = frozenset(
    {"mask_token"}
    | {f"{layer}.{kind}" for layer in ("ln_lm", "lm_head") for kind in ("weight", "bias")}
    | {f"lm_transformer.resblocks.0.{part}{kind}" for part in _BLOCK_PARTS for kind in ("weight", "bias")}
)


@dataclass(frozen=True)
class Checkpoint:
    """A file's weights under open_clip's names.

    Attributes:
        file: where they came from.
        weights: those of the dual encoder, in the file's precision.
        masked_image: those of a masked image head, named as in FaRL without "visual."; empty if there is none.
        ignored: names in the file that are no weights: constants and position numbers.
    """

    file: Path
    layout: Layout
    weights: Mapping[str, Tensor]
    masked_image: Mapping[str, Tensor] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a file, or the weights in a folder, of any layout.

    Raises:
        CheckpointError: if it cannot be read or holds anything but tensors.
    """
    file = weight_file(path)
    contents = read_contents(file)
    layout = layout_of(contents)
    tensors = {name: tensor for name, tensor in contents.tensors.items() if name not in OPENAI_CONSTANTS}
    if layout == "run":
        return _run(file, tensors)
    if layout == "farl":
        return _farl(file, tensors)
    weights = from_transformers(tensors) if layout == "transformers" else tensors
    ignored = tuple(name for name in contents.tensors if name in OPENAI_CONSTANTS or name.endswith(".position_ids"))
    return Checkpoint(file, layout, weights, ignored=ignored)


def layout_of(contents: Contents) -> Layout:
    """Whose names the tensors bear."""
    names = contents.tensors.keys()
    if contents.lightning or all(name.startswith(("model.", "masked_image.")) for name in names):
        return "run"
    if any(name.startswith(("vision_model.", "text_model.")) for name in names):
        return "transformers"
    if any(name.removeprefix("visual.") in MASKED_IMAGE_NAMES for name in names if name.startswith("visual.")):
        return "farl"
    return "openai" if contents.torchscript or names & OPENAI_CONSTANTS else "open_clip"


def _run(file: Path, tensors: Mapping[str, Tensor]) -> Checkpoint:
    head = _taken(tensors, "masked_image.")
    weights = _taken(tensors, "model.")
    # What has neither prefix stays, and is then refused by its name.
    rest = {name: value for name, value in tensors.items() if not name.startswith(("model.", "masked_image."))}
    return Checkpoint(file, "run", weights | rest, head)


def _farl(file: Path, tensors: Mapping[str, Tensor]) -> Checkpoint:
    head = {name: value for name, value in _taken(tensors, "visual.").items() if name in MASKED_IMAGE_NAMES}
    missing = sorted(MASKED_IMAGE_NAMES - head.keys())
    if missing:
        names = ", ".join(f"visual.{name}" for name in missing[:3])
        raise CheckpointError(f"{file}: {len(missing)} of the 17 tensors of FaRL's masked image head lack: {names}")
    weights = {name: value for name, value in tensors.items() if name.removeprefix("visual.") not in head}
    return Checkpoint(file, "farl", weights, head)


def _taken(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
