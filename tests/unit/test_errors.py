"""What a command says when it cannot go on: one line, an exit code, nothing that a terminal would obey."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from rich.table import Table

from synthetic.base.console import Console, json_text
from synthetic.base.errors import INTERNAL, Stopped, guarded, must, must_be_writable
from synthetic.base.progress import counted, track
from synthetic.base.terminal import visible
from workbench.study.runner import _Bar

ROOT = Path(__file__).parents[2]


def ended(capsys, error, **how):
    """Exit code and lines of a command that ends with an error."""

    def body():
        raise error

    code = guarded(body, **how)
    return code, capsys.readouterr().err.splitlines()


# --- guarded ---------------------------------------------------------------------------------------------------------


def test_what_a_command_returns_is_its_code():
    assert guarded(lambda: 7) == 7


def test_a_refusal_keeps_its_words(capsys):
    def body():
        must(False, "--m", "at least 1", 0, "raise it")

    assert guarded(body) == 2
    assert capsys.readouterr().err == "error: --m must be at least 1; got 0: raise it.\n"


def test_a_librarys_words_get_a_way_out(capsys):
    assert guarded(lambda: json.loads("{")) == 2
    said = capsys.readouterr().err
    assert "got JSONDecodeError: Expecting property name" in said
    assert "check flags and files; WORKBENCH_TRACEBACK=1 shows where" in said


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "open to this user; got Permission denied: change its rights or choose another place"),
        (errno.ENOSPC, "on a disk with room; got No space left on device: make room and run it again"),
        (errno.EISDIR, "a file; got Is a directory: check the path"),
        (errno.ENOTDIR, "a path whose parents are folders; got Not a directory: check the path"),
        (errno.ENAMETOOLONG, "of a length that the disk takes; got File name too long: choose a shorter name"),
        (errno.EIO, "usable; got Input/output error: check the path and its disk"),
    ],
)
def test_the_operating_systems_refusals_say_what_to_do(capsys, number, words):
    code, said = ended(capsys, OSError(number, os.strerror(number), "a[/]b"))
    assert code == 2
    assert said == [f"error: a[/]b must be {words}."]


@pytest.mark.parametrize("body", [lambda: torch.empty(10**14), lambda: [0] * 10**18, lambda: torch.empty(2**61, 2**61)])
def test_too_little_memory_names_what_to_lower(capsys, body):
    assert guarded(body, sizes="--m or --n") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: sizes must fit into memory; got ")
    assert line.endswith(": lower --m or --n.")


def test_any_other_error_is_a_fault_of_ours_with_a_way_to_report_it(capsys, monkeypatch):
    code, said = ended(capsys, KeyError("x\n\x1b[2J"))
    assert code == INTERNAL == 70
    (line,) = said
    assert "must not end so; got KeyError in test_errors.py, line" in line
    assert "run it again with WORKBENCH_TRACEBACK=1 and report what it prints" in line
    monkeypatch.setenv("WORKBENCH_TRACEBACK", "1")
    _, said = ended(capsys, KeyError("x"))
    assert said[0] == "Traceback (most recent call last):"
    assert said[-1].startswith("error: ")


def test_errors_that_are_the_users_to_mend_are_named_by_the_command(capsys):
    code, said = ended(capsys, ImportError("no transformers"), also=(ImportError,))
    assert code == 2
    assert "no transformers" in said[0]


def test_a_file_of_a_user_is_blamed_with_line_and_function(capsys, tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text("def activate(x):\n    return len(x)\n\ndef leave():\n    raise SystemExit(0)\n")
    monkeypatch.setattr("synthetic.base.errors.PLUGINS", {str(path)})
    space = {}
    exec(compile(path.read_text(), str(path), "exec"), space)
    assert guarded(lambda: space["activate"](5)) == 2
    assert f"plugin must run; got TypeError in {path}, line 2 (activate): object of type" in capsys.readouterr().err
    assert guarded(space["leave"]) == 2
    assert f"plugin must run to its end; got exit code 0 in {path}, line 5 (leave)" in capsys.readouterr().err


def test_a_stop_says_how_to_go_on(capsys):
    code, said = ended(capsys, KeyboardInterrupt(), stopped=lambda: "stopped; go on")
    assert (code, said) == (130, ["stopped; go on"])
    assert guarded(lambda: (_ for _ in ()).throw(Stopped("full", 1))) == 1
    assert capsys.readouterr().out == "full\n"


def test_ctrl_c_that_a_library_turns_into_an_error_is_still_a_stop(capsys):
    def body():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("half a module") from None

    before = signal.getsignal(signal.SIGINT)
    assert guarded(body) == 130
    assert capsys.readouterr().err == "stopped\n"
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_in_a_destructor_comes_again(capsys):
    class Fragile:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def body():
        held = Fragile()
        del held
        time.sleep(5)
        return 0

    assert guarded(body) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_things_that_ctrl_c_leaves_half_made_say_nothing(capsys, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", lambda event: print(event.exc_value, file=sys.stderr))

    class Context:
        def __init__(self, press):
            if press:
                signal.raise_signal(signal.SIGINT)
            self.owner = True

        def __del__(self):
            return self.owner and 1 // 0

    def body():
        del (held := [Context(press=False)])[:]
        del held
        Context(press=True)
        return 0

    assert guarded(body) == 130
    assert capsys.readouterr().err == "integer division or modulo by zero\nstopped\n"


# --- what a terminal would obey --------------------------------------------------------------------------------------

HOSTILE = "a\x1b[2Jb\x9bc\u202ed\ue000\udc80[bold]:smile:"


def test_control_characters_are_shown():
    assert visible("ok ü €") == "ok ü €"
    assert visible("a\n\x1b[2J\x9b\u202e\udc80") == r"a\n\x1b[2J\x9b\u202e\udc80"


@pytest.mark.parametrize("terminal", [False, True])
def test_a_console_shows_strings_as_they_are(terminal):
    heard = io.StringIO()
    console = Console(file=heard, width=200, force_terminal=terminal, color_system=None)
    table = Table("heading", title=HOSTILE)
    table.add_row(HOSTILE)
    console.print(table)
    console.print(f"saved {HOSTILE}\nnext")
    said = heard.getvalue()
    assert said.count(r"a\x1b[2Jb\x9bc\u202ed\ue000\udc80[bold]:smile:") == 3
    assert "\nnext\n" in said
    assert not {"\x1b[2J", "\x9b", "\u202e"} & {said[i : i + n] for i in range(len(said)) for n in (1, 4)}


def test_progress_bars_show_names_as_they_are(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal
    with _Bar(total=2, already=0) as bar:
        bar.show("base/mine[/]", 1, "mcc .5")
    assert list(track([1], "losses at h[/]")) == [1]
    with counted("training[/]", "steps[/]") as count:
        count(1, 2)
    said = capsys.readouterr().err
    assert all(name in said for name in ("base/mine[/] mcc .5", "losses at h[/]", "training[/]", "1 of 2 steps[/]"))


def test_json_for_people_is_plain():
    text = json_text({"ü": [HOSTILE]})
    assert json.loads(text) == {"ü": [HOSTILE]}
    assert "ü" in text
    assert text.replace("\n", "").isprintable()


def test_a_page_that_cannot_be_written_is_refused_beforehand(tmp_path):
    must_be_writable("--html", tmp_path / "new" / "page.html")
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "page.html", tmp_path / "file" / "x" / "page.html"):
        with pytest.raises(ValueError, match=r"--html must be .*: (name a file in it|choose another place)"):
            must_be_writable("--html", path)


# --- entry points ----------------------------------------------------------------------------------------------------

PRESSED = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    ("words", "module"),
    [(["-m", "workbench", "list"], "torch"), (["experiments/recovery.py", "--dry-run"], "polars")],
    ids=["where it loads torch", "in its first imports"],
)
def test_ctrl_c_amid_imports_is_one_line_and_130(tmp_path, words, module):
    (tmp_path / "sitecustomize.py").write_text(PRESSED.format(module=module))
    places = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, env=places, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")


@pytest.fixture
def nobody():
    """A stream whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        yield stream


def test_a_reader_that_leaves_is_no_error(monkeypatch, capsys, nobody):
    monkeypatch.setattr(sys, "stdout", nobody)
    assert guarded(lambda: print("x") or 0) == 1
    assert guarded(lambda: print("x" * 10**6) or 0) == 0  # nowhere
    assert capsys.readouterr().err == ""


def test_a_reader_that_leaves_amid_help_is_no_error(nobody):
    command = [sys.executable, "-m", "workbench", "train", "--help"]
    done = subprocess.run(command, cwd=ROOT, stdout=nobody, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")
