"""A console that shows strings as they are: paths are no markup, and a stranger's control characters are not obeyed."""

import json
from collections.abc import Iterable
from typing import Any

from rich import console
from rich.segment import Segment
from rich.text import Text

from synthetic.base.terminal import visible


class Console(console.Console):
    """Rich's console without markup and emoji codes; what a terminal would obey in a text is shown as an escape."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, **settings})

    def render_str(self, text: str, **how: Any) -> Text:
        """A string before it is measured."""
        return super().render_str(_lines(text), **how)

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """Segments whose text is visible."""
        for segment in super().render(renderable, options):
            plain = segment.control or segment.text.isprintable()
            yield segment if plain else Segment(_lines(segment.text), segment.style)


def _lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


def json_text(value: Any) -> str:
    """JSON for people: letters as they are, whatever a terminal would obey as JSON's own escapes."""
    return "\n".join(map(_escaped, json.dumps(value, indent=1, ensure_ascii=False).split("\n")))


def _escaped(line: str) -> str:
    return line if line.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
