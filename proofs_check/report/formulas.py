"""Formulas as MathML of known elements and attributes alone, which needs no font and no script."""

from html import escape
from xml.etree import ElementTree

from latex2mathml.converter import convert

_MATHML = {"math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mstyle", "mpadded", "mphantom", "menclose"}
_MATHML |= {"mfrac", "msqrt", "mroot", "msub", "msup", "msubsup", "munder", "mover", "munderover"}
_MATHML |= {"mtable", "mtr", "mtd"}
"""elements a formula may have"""
_LOOKS = {"display", "displaystyle", "scriptlevel", "mathvariant", "mathcolor", "mathsize", "notation", "linethickness"}
_LOOKS |= {"stretchy", "symmetric", "fence", "separator", "form", "accent", "accentunder", "movablelimits", "largeop"}
_LOOKS |= {"minsize", "maxsize", "width", "height", "depth", "lspace", "rspace", "columnalign", "columnspacing"}
_LOOKS |= {"columnlines", "rowlines", "rowspacing"}
"""attributes they may have: no link, no script"""


def formula(tex: str) -> str:
    """A formula as MathML, or its source where it is none."""
    try:
        return f'<p class="wide">{_mathml(tex)}</p>'
    except Exception:  # whatever the converter raises of a text that is no formula
        return f"<p><code>{escape(tex)}</code></p>"


def _mathml(tex: str) -> str:
    """A formula as MathML of known elements and attributes alone.

    Raises:
        ValueError: something else would come of it, or some of its commands are not known.
        Exception: what the converter raises.
    """
    found = ElementTree.fromstring(convert(tex, display="block"))
    for element in found.iter():
        element.tag = element.tag.rpartition("}")[2]
        if element.tag not in _MATHML or not _LOOKS.issuperset(element.attrib):
            raise ValueError(f"{element.tag} with {list(element.attrib)} is no part of a formula")
    if "\\" in "".join(found.itertext()):
        raise ValueError("a command of the formula is not known")
    return ElementTree.tostring(found, encoding="unicode", short_empty_elements=False)
