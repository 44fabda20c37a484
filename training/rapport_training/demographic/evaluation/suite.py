"""A suite: which models are fine-tuned on which data sets and tested on all of them. Table I is one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from rapport_training.demographic.evaluation.retrieval import Setting
from rapport_training.yaml_files import read_yaml

#: The variant that was not fine-tuned.
OUT_OF_THE_BOX = "out_of_the_box"

_Name = Annotated[str, msgspec.Meta(pattern=r"^[^=]+$")]


class SuiteModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One column of the table per variant.

    Attributes:
        label: in the table: "CLIP", "FaRL".
        recipes: by variant the name of a shipped recipe, or a file. A variant is `OUT_OF_THE_BOX`, whose recipe says
            what the model is and how it sees, or one of the suite's data sets, which the recipe is trained on.
            A variant that is left out is a dash in the table.
        weights: the name under which the command line gives the checkpoint to start from (--weights NAME=FILE); none
            for random weights, which have no variant `OUT_OF_THE_BOX`.
        image_tokenizer: the same for the image tokenizer (--image-tokenizer NAME=FILE) of masked image modelling.
    """

    label: Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[^/]+$")]
    recipes: dict[str, str]
    weights: _Name | None = None
    image_tokenizer: _Name | None = None


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `rapport-train demographic table`.

    Attributes:
        name: of the suite.
        data: titles of the data sets by the names under which the command line gives their folders
            (--data NAME=FOLDER), in the order of the table.
        models: columns.
        seeds: of the fine-tunings.
        settings: pools and what counts as right; one table each.
        paper: print the figures of the paper's Table I beside; columns and rows are matched by label and title.
    """

    name: str
    data: dict[_Name, str]
    models: Annotated[list[SuiteModel], msgspec.Meta(min_length=1)]
    seeds: Annotated[list[int], msgspec.Meta(min_length=1)]
    settings: Annotated[list[Setting], msgspec.Meta(min_length=1)]
    paper: bool = False

    @property
    def variants(self) -> list[str]:
        """In the order of the table."""
        return [OUT_OF_THE_BOX, *self.data]

    def title(self, variant: str) -> str:
        """For headings: "fine-tuned on FairUser"; a variant of another origin is its own title."""
        if variant == OUT_OF_THE_BOX:
            return "out of the box"
        return f"fine-tuned on {self.data[variant]}" if variant in self.data else variant


def load_suite(path: Path) -> Suite:
    """Reads and checks a suite.

    Raises:
        SettingsError: naming the file and what is wrong.
    """
    return read_yaml(path, Suite, "suite", _contradiction)


def _contradiction(suite: Suite) -> str:
    """A data set or weights that a model lacks, or a label that two have; "" if all is well."""
    for model in suite.models:
        unknown = sorted(set(model.recipes) - set(suite.variants))
        if unknown:
            return (
                f"model {model.label} has recipes for {', '.join(unknown)}, but the suite's data sets are "
                f"{', '.join(suite.data)}; the other variant is {OUT_OF_THE_BOX}"
            )
        if model.weights is None and OUT_OF_THE_BOX in model.recipes:
            return f"model {model.label} has no `weights`, so nothing is out of the box"
    return "two models have the same label" if len({model.label for model in suite.models}) < len(suite.models) else ""
