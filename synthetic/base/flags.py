"""The command line of an entry point, read into its settings; a wrong one is refused in one line."""

import contextlib
import io
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, get_type_hints

from synthetic.base.terminal import drop, visible

_DECORATION = re.compile(r"\x1b\[[\d;]*m|[│╭╮╰╯]")
_MOST = 300
"""characters of a wrong value that are worth repeating"""


def read_flags(settings: Any, hidden: Iterable[str] = (), **how: Any) -> Any:
    """What `tyro.cli` makes of the command line; its box of many lines about a wrong one becomes one line, code 2.

    Args:
        settings: a dataclass, or a union of subcommands.
        hidden: fields of the dataclass, such as "train.steps", whose flags are read, but not listed by --help.
        how: what else `tyro.cli` takes, such as `prog`, `description` and `default`.
    """
    import tyro

    asked = {"-h", "--help"} & set(words_of(how.get("args")))
    rules = _without(settings, hidden) if hidden and asked else contextlib.nullcontext()
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box), rules:
            return tyro.cli(settings, **how)
    except SystemExit as leaving:
        if leaving.code == 2:
            print(f"error: {refusal(box.getvalue())}", file=sys.stderr)
        raise
    except BrokenPipeError:  # whoever read our help has left
        drop()
        sys.exit(1)


def words_of(argv: Iterable[str] | None) -> list[str]:
    """The words of a command line, by default this process's."""
    return sys.argv[1:] if argv is None else list(argv)


def names_of(argv: Iterable[str] | None, within: str) -> list[str]:
    """The fields of a dataclass that a command line names: of --train.no-bf16 "bf16" within "train"."""
    flags = [word.partition("=")[0].replace("_", "-") for word in words_of(argv) if word.startswith(f"--{within}.")]
    return [flag.rpartition(".")[2].removeprefix("no-").replace("-", "_") for flag in flags]


def _without(settings: type, hidden: Iterable[str]) -> Any:
    """How tyro reads dataclasses, but for the hidden fields."""
    from tyro.constructors import ConstructorRegistry, StructTypeInfo

    names: dict[Any, set[str]] = {}
    for path in hidden:
        kind, (*above, name) = settings, path.split(".")
        for part in above:
            kind = get_type_hints(kind)[part]
        names.setdefault(kind, set()).add(name)
    registry, inner = ConstructorRegistry(), set()

    @registry.struct_rule
    def listed(info: StructTypeInfo) -> Any:
        if info.type not in names or info.type in inner:
            return None
        inner.add(info.type)
        whole: Any = registry.get_struct_spec(info)
        inner.remove(info.type)
        return replace(whole, fields=tuple(field for field in whole.fields if field.name not in names[info.type]))

    return registry


def refusal(box: str) -> str:
    """One line of what tyro prints in a box: what is wrong, what may have been meant, where the flags are listed."""
    lines = [_DECORATION.sub("", line).strip() for line in box.splitlines()][1:]  # the first is a title
    wrong, *more = re.split(r"\n[─-]{3,}\n", "\n".join(lines))
    parts = {part.split(":")[0]: part.partition(":")[2].strip() for part in more}
    meant = re.search(r"^--[\w.-]+", parts.get("Perhaps you meant", ""), re.MULTILINE)
    choices = " ".join(parts.get("Available subcommands", "").split())
    command = re.search(r"For full helptext, (?:see|run):?\s(.*? --help)", "\n".join(more))
    hints = [f"perhaps you meant {meant[0]}" if meant else "", f"give one of {choices}" if choices else ""]
    hints.append(f"{command[1]} lists the flags" if command else "--help lists the flags")
    words = _in_words(" ".join(wrong.split()), parts.get("Argument helptext", "").split("\n")[0])
    return visible(f"{words}: {'; '.join(filter(None, hints))}.")


def _in_words(wrong: str, asked: str) -> str:
    """What is wrong as this program says it; `asked` is the flag's first line of help, --flag KIND."""
    ours = re.match(r"Error parsing \S+: (.* must be .*)", wrong)
    if ours:
        return ours[1].rstrip(".")
    flag, _, kind = asked.partition(" ")
    value = re.search(r"(?:base 10:|float:|from|arguments:?) (\[.*?\]|'.*?')", wrong)
    if flag and value:
        plain = {"INT": "a whole number", "FLOAT": "a number", "PATH": "a path"}
        rule = plain.get(kind.removeprefix("{None}|"), kind) + " or None" * kind.startswith("{None}|")
        return f"{flag} must be {rule}; got {value[1][:_MOST]}"
    choice = re.match(r"invalid choice (.*) for argument '(.*)'. Expected one of (.*)\.", wrong)
    if choice:
        return f"{choice[2]} must be one of {choice[3]}; got {choice[1][:_MOST]}"
    lacking = re.match(r"Missing value for argument '(.*)'. Expected (\d+) values", wrong)
    if lacking:
        return f"{lacking[1]} must be followed by {lacking[2]} value{'s' * (lacking[2] != '1')}; got too few"
    return wrong.rstrip(".")[:_MOST]
