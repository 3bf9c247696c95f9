"""What the article says that its networks took: never measured here, never in one ratio with what was.

Long 2020, BMC Bioinformatics 21:8, "Results": averages over the 174 patches of the 53 test images and five repeats, on
one GTX 1080 Ti, in FP32, with Keras 2.2.4 on TensorFlow 1.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ARTICLE: Final = "Long 2020: GTX 1080 Ti, FP32, Keras 2.2.4"
APART: Final = "Another machine, another precision, other software: not to be put into one ratio with what is measured."


@dataclass(frozen=True)
class ArticleFigure:
    """A time of the article.

    Attributes
    ----------
    title
        The network as the article calls it.
    ms
        Milliseconds a patch of 256 x 256 pixels.
    about
        Whether the article gives it as "about".
    """

    title: str
    ms: float
    about: bool

    @property
    def text(self) -> str:
        """Such as "about 15"."""
        return f"about {self.ms:g}" if self.about else f"{self.ms:g}"


ARTICLE_FIGURES: Final[Mapping[str, ArticleFigure]] = MappingProxyType(
    {
        "unet_b8": ArticleFigure("U-Net, B=8", 9.5, about=False),
        "unet_plus_tc_b8": ArticleFigure("U-Net+ T.C., B=8", 12.4, about=False),
        "unet_b16": ArticleFigure("U-Net, B=16", 15, about=True),
        "unet_plus_tc_b16": ArticleFigure("U-Net+ T.C., B=16", 15, about=True),
        "unet_plus_plus_b16": ArticleFigure("U-Net++, B=16", 22, about=False),
        "unet_plus_us_b16": ArticleFigure("U-Net+ U.S., B=16", 22, about=True),
    }
)
"""By the name that `architecture_from_name` takes. Of the other networks the article gives no number."""
