"""The page of a report: one HTML file with its plots inside, from a template that extends `page.html.j2`."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


@dataclass(frozen=True)
class Plot:
    """A picture for the page.

    Attributes:
        title: of the figure.
        caption: what is to be seen.
        data: base64 of the PNG.
    """

    title: str
    caption: str
    data: str

    @classmethod
    def of(cls, title: str, caption: str, draw: Callable[[], bytes]) -> Plot:
        """Draws it.

        Args:
            title, caption: as above.
            draw: gives the bytes of a PNG file.
        """
        return cls(title, caption, base64.b64encode(draw()).decode("ascii"))


def render(package: str, **values: Any) -> str:
    """`report.html.j2` of a package, which may extend `page.html.j2` and fills its blocks.

    Args:
        package: in whose folder the template lies.
        values: what the template names; a name that is missing is an error, not nothing.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("rapport_training.reporting", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(**values)
