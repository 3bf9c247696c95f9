"""Elements of HTML and SVG, in which every string is text: none of them can become markup."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

from unetplus_edge.commands import printable

if TYPE_CHECKING:
    from typing import TypeAlias

    Content: TypeAlias = Element | str | None

__all__ = ["Element", "SubElement", "element", "html_text", "style"]


def element(tag: str, *contents: Content, **attributes: str | float | None) -> Element:
    """Return an element.

    Parameters
    ----------
    tag
        Its name.
    contents
        What is inside, in order; None is left out. What would not print in strings is escaped as
        `printable` has it.
    attributes
        A trailing underscore is dropped and others become hyphens; None is left out. Numbers are
        written with at most two digits after the point.

    Examples
    --------
    >>> print(html_text(element("td", "<b>", element("i", "x"), class_="n", aria_label='"', x=1.0)))
    <td class="n" aria-label="&quot;" x="1">&lt;b&gt;<i>x</i></td>
    """
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            text = value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
            made.set(name.rstrip("_").replace("_", "-"), printable(text))
    last: Element | None = None
    for content in contents:
        if isinstance(content, str):
            if last is None:
                made.text = (made.text or "") + printable(content)
            else:
                last.tail = (last.tail or "") + printable(content)
        elif content is not None:
            made.append(content)
            last = content
    return made


def style(sheet: str) -> Element:
    """Return a style sheet of ours, which is written as it is."""
    made = Element("style")
    made.text = sheet
    return made


def html_text(made: Element) -> str:
    """Return an element as HTML5 has it."""
    return tostring(made, encoding="unicode", method="html")
