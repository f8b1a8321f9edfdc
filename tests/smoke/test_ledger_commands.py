"""The ledger, the claim checker and the auditor from the command line: what they print, their exit codes, bad input."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import synthetic as S
import workbench as W
from proofs_check.__main__ import main as ledger
from proofs_check.shelf import claims

ROOT = Path(__file__).parents[2]
WRONG = """
from proofs_check import EXACT, UNIT_ROWS, Claim, Control, at_most, mixtures, twice_the_identity

CLAIM = Claim(
    id="MINE-1",
    statement="|x|² ≤ (1 + μ(k − {less})) |h|²",
    source="ours",
    hypotheses=(UNIT_ROWS, EXACT),
    instances=mixtures(),
    conclusion=lambda case: at_most(case.x2, (1 + case.coherence * (case.k - {less})) * case.h2, unit=case.unit),
    controls=(Control("unit rows", twice_the_identity()),),
)
"""


def say(monkeypatch, capsys, main, *words):
    """Exit code and output of a command run in this process."""
    monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
    try:
        code = main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    return code, "".join(capsys.readouterr())


# --- python -m proofs_check ------------------------------------------------------------------------------------------


def test_the_ledger_prints_a_row_a_claim_and_writes_a_page(tmp_path):
    words = ["--area", "afa", "--id", "AFA-1", "AFA-5", "--examples", "20", "--jobs", "2", "--json"]
    command = [sys.executable, "-m", "proofs_check", *words, "--html", str(tmp_path / "page.html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [(row["id"], row["verdict"], row["ok"]) for row in told] == [
        ("AFA-1", "PROVED", True),
        ("AFA-5", "VACUOUS", True),
    ]
    assert done.stderr == ""  # quiet when not a terminal
    text = (tmp_path / "page.html").read_text()
    assert text.count("<section") == 2
    assert not re.findall(r'(?:src|href)="(?!#)', text)  # nothing is fetched
    assert "regular simplex" in text
    assert text.count("<math") == 2
    assert "<svg" in text  # a tightness plot


def test_detail_shows_proofs_controls_and_mutants(monkeypatch, capsys):
    code, said = say(monkeypatch, capsys, ledger, "--id", "AFA-4", "--examples", "20")
    assert code == 0
    for word in ("PROVED", "signed", "induction over rows", "ends exchanged", "hypotheses:", "nonnegative"):
        assert word in said


def test_the_table_says_what_is_not_as_promised(monkeypatch, capsys):
    broken = dict(claims())
    broken["AFA-4"] = replace(broken["AFA-4"], promised="VACUOUS")
    monkeypatch.setattr("proofs_check.judging.claims", lambda: broken)
    code, said = say(monkeypatch, capsys, ledger, "--examples", "10", "--jobs", "1", "--area", "afa", "--id", "AFA-4")
    assert code == 1
    assert "AFA-4" in said


AREAS = ["actions", "afa", "attention", "auxiliary", "bias", "concepts", "factors", "interactions", "pursuit", "signed"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--id", "AFA-99"], "--id must be one of"),
        (["--id", "AF-20"], "perhaps you meant 'AFA-20'"),
        (["--area", "aaf"], f"--area must be one of {AREAS}; got 'aaf': perhaps you meant 'afa'"),
        (["--examples", "0"], "--examples must be a whole number in [1, 2147483647]; got 0"),
        (["--seconds", "0"], "--seconds must be above 0"),
        (["--exmples", "9"], "--exmples"),
    ],
)
def test_bad_usage_ends_with_2(monkeypatch, capsys, words, message):
    code, said = say(monkeypatch, capsys, ledger, *words)
    assert code == 2
    assert message in " ".join(said.split())


def test_help_answers_without_loading_torch():
    lines = "import sys; sys.argv = ['x', '--help']\nimport proofs_check.__main__ as m\n"
    script = lines + "try: m.main()\nexcept SystemExit: print('torch' in sys.modules, 'sympy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip().endswith("False False")


def test_a_typo_is_answered_without_loading_torch(tmp_path):
    (tmp_path / "mine.py").write_text("def f(:")
    lines = f"import sys; sys.argv = ['x', 'check', {str(tmp_path / 'mine.py')!r}]\nimport proofs_check.__main__ as m\n"
    script = lines + "print(m.main(), 'torch' in sys.modules, 'hypothesis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "2 False False", done.stderr


# --- check -----------------------------------------------------------------------------------------------------------


def test_a_strangers_claim_is_refuted_with_a_witness(monkeypatch, capsys, tmp_path):
    (tmp_path / "mine.py").write_text(WRONG.format(less=2))
    code, said = say(monkeypatch, capsys, ledger, "check", tmp_path / "mine.py")
    assert code == 1
    assert "REFUTED" in said
    assert re.search(
        r"witness: rows \[\(-?1\), \(-?1\)\], h \(1, -?1\), x \(-?2\): 4 <= 2 fails", " ".join(said.split())
    )


def test_a_strangers_true_claim_is_supported(monkeypatch, capsys, tmp_path):
    (tmp_path / "mine.py").write_text(WRONG.format(less=1))
    code, said = say(monkeypatch, capsys, ledger, "check", tmp_path / "mine.py", "--json", "--examples", "60")
    assert code == 0
    (told,) = json.loads(said)
    assert told["verdict"] == "SUPPORTED"
    assert told["title"] == "mine"
    assert told["controls"][0]["violation"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "claim file must be a Python file"),
        ("x = 1", "claim file must be one that makes a Claim"),
        ("import nothing_like_it", "claim file must run; got ModuleNotFoundError"),
        ("raise SystemExit(0)", "claim file must run; got SystemExit"),
        ("def f(:", "claim file must run; got SyntaxError"),
        (WRONG.format(less=1).replace('"unit rows"', '"unit row"'), "must be named after a hypothesis in"),
    ],
)
def test_a_bad_claim_file_ends_with_2(monkeypatch, capsys, tmp_path, text, message):
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    code, said = say(monkeypatch, capsys, ledger, "check", path)
    assert code == 2
    assert message in " ".join(said.split())


FALSE = """
import math
from proofs_check import inequality

branch = inequality(
    "FALSE-1", "1/2 ≤ g(x), 0 on (.33334, .33336) and 1 elsewhere", box={"x": ("0", "1")},
    left=lambda x: 0.5, right=lambda x: 0.0 if 0.33334 < x < 0.33336 else 1.0,
)
least = inequality(
    "FALSE-2", "1/2 ≤ min(1, 4e6 |x − .33335|)", box={"x": ("0", "1")},
    left=lambda x: 0.5, right=lambda x: min(1.0, 4_000_000 * abs(x - 0.33335)),
)
midpoint = inequality(
    "FALSE-3", "sin(x)/(1e-12 + |sin x − sin .33335|)/1e6 ≤ 1", box={"x": ("0", "1")},
    left=lambda x: math.sin(x) / (1e-12 + abs(math.sin(x) - math.sin(0.33335))) / 1e6, right=lambda x: 1.0,
)
division = inequality(
    "FALSE-4", "x/x ≤ 1, at 0 too", box={"x": ("-1", "1")},
    left=lambda x: x * (1 / x) if x != 0 else 2.0, right=lambda x: 1.0,
)
endless = inequality("EMPTY-1", "x ≤ ∞", box={"x": ("0", "1")}, left=lambda x: x, right=lambda x: math.inf)
constant = inequality("EMPTY-2", "0 ≤ 1", box={"x": ("0", "1")}, left=lambda x: 0, right=lambda x: 1)
"""


def test_no_false_and_no_empty_inequality_is_proved(monkeypatch, capsys, tmp_path):
    (tmp_path / "false.py").write_text(FALSE)
    words = ["check", tmp_path / "false.py", "--json", "--examples", "40", "--seconds", "2"]
    code, said = say(monkeypatch, capsys, ledger, *words)
    assert code == 1
    verdicts = {row["id"]: row["verdict"] for row in json.loads(said)}
    assert verdicts == {
        "FALSE-1": "REFUTED",
        "FALSE-2": "REFUTED",
        "FALSE-3": "UNKNOWN",
        "FALSE-4": "REFUTED",
        "EMPTY-1": "UNKNOWN",
        "EMPTY-2": "UNKNOWN",
    }


def test_one_bad_claim_costs_itself_alone(monkeypatch, capsys, tmp_path):
    good = WRONG.format(less=1)
    lines = [
        good,
        good.replace("CLAIM =", "BAD =").replace("hypotheses=(UNIT_ROWS, EXACT)", 'hypotheses=("unit rows",)'),
        "import nothing_like_it\n\nraise SystemExit(0)\n",
        good.replace("CLAIM =", "LAST =").replace("MINE-1", "MINE-2").replace("k - 1", "k - 2"),
    ]
    (tmp_path / "mine.py").write_text("from __future__ import annotations\n" + "\n".join(lines))
    words = ["check", tmp_path / "mine.py", "--json", "--examples", "150"]
    monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
    assert ledger() == 2
    told = capsys.readouterr()
    assert {row["id"]: row["verdict"] for row in json.loads(told.out)} == {"MINE-1": "SUPPORTED", "MINE-2": "REFUTED"}
    errors = told.err.strip().splitlines()
    assert "mine.py, line 18: claim MINE-1.hypotheses must be of Hypothesis objects; got 'unit rows'" in errors[0]
    assert "claim file must run; got ModuleNotFoundError in line 28 of" in errors[1]
    assert "claim file must run; got SystemExit in line 30 of" in errors[2]
    assert len(errors) == 3


def test_a_claim_file_does_not_steer_the_terminal(monkeypatch, capsys, tmp_path):
    text = WRONG.format(less=1).replace("ours", "o\\x1b]0;title\\x07\\x9b2J")
    (tmp_path / "mine.py").write_text(text + "\nraise ValueError('\\x1b[2J')\n")
    code, said = say(monkeypatch, capsys, ledger, "check", tmp_path / "mine.py", "--examples", "5")
    assert code == 2
    assert "o\\x1b]0;title\\x07\\x9b2J" in said
    assert "line 14: \\x1b[2J" in said
    assert not set(said) & {"\x1b", "\x07", "\x9b"}


def readme_file(name):
    """A file that the README shows, by the comment of its first line."""
    text = (ROOT / "README.md").read_text()
    return next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if block.startswith(f"# {name}"))


def test_the_readmes_claim_file_comes_to_the_verdicts_it_tells(monkeypatch, capsys, tmp_path):
    for less, ends, verdict in ((2, 1, "REFUTED"), (1, 0, "SUPPORTED")):  # as it stands, and as it holds
        text = readme_file("my_claim.py").replace("k - 2", f"k - {less}")
        (tmp_path / f"less_{less}.py").write_text(text)
        code, said = say(monkeypatch, capsys, ledger, "check", tmp_path / f"less_{less}.py", "--json")
        assert (code, [row["verdict"] for row in json.loads(said)]) == (ends, [verdict])


# --- audit -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder as the main experiment leaves it, two SAEs in a stack."""
    folder = tmp_path_factory.mktemp("run")
    world = S.SparseMixture(n_true=16, d=8)
    S.save_world(world, folder / "worlds" / "base")
    sae = W.create("topk", 8, 24, k=2, seed=[0, 1])
    W.train(sae, world, W.TrainConfig(steps=40, batch=64))
    sae.save(folder / "saes" / "base-topk")
    return folder


def test_a_run_is_audited_and_told(monkeypatch, capsys, run):
    code, said = say(monkeypatch, capsys, ledger, "audit", run, "--n", "100")
    assert code == 0
    words = " ".join(said.split())
    assert "2 members" in words
    assert re.search(r"refused: AFA-1, AFA-2, AFA-3, AFA-4, AFA-6, AFA-10, AFA-14[^:]*: exact: x = hV fails", words)
    assert "void: AFA-2 upper side, AFA-2 norms: c = ε(n − 1)" in words
    assert re.search(r"μ\(k − 1\)N [\d.]+ [\d.]+ [\d.]+ [\d.e-]+ 200", words)
    assert "AFA-3 refined chain" in words


def test_an_audit_in_json_is_plain(monkeypatch, capsys, run):
    code, said = say(monkeypatch, capsys, ledger, "audit", run / "saes" / "base-topk", "--n", "50", "--json")
    assert code == 0
    (told,) = json.loads(said)
    assert told["members"] == 2
    assert {row["status"] for row in told["rows"]} == {"holds", "refused", "void"}
    assert {met["view"] for met in told["hypotheses"]} == {"reconstruction", "activation", "world"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "audit.target must be an SAE folder or the run folder of an experiment"),
        (["{run}", "--n", "0"], "--n must be a whole number in [1, 2147483647]; got 0: give one in that range"),
        (["{run}", "--world", "toyy"], "perhaps you meant 'toy'"),
        (["{run}", "--world", "toy"], "audit.world must be of dimension 8, the SAE's; got 16"),
    ],
)
def test_a_bad_audit_ends_with_2(monkeypatch, capsys, run, words, message):
    code, said = say(monkeypatch, capsys, ledger, "audit", *(word.format(run=run) for word in words))
    assert code == 2
    assert message in " ".join(said.split())
