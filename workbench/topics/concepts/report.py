"""What activations of a next-token predictor know of its concepts: numbers, each refused where data cannot say."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must
from synthetic.concepts.activations import Readout, centred, exact_activations
from synthetic.concepts.model import ConceptModel
from workbench.topics.concepts.diversity import LEAST, Condition, conditions, distinct_contexts
from workbench.topics.concepts.probes import bayes, probe
from workbench.topics.concepts.regression import NotIdentifiable, must_be_enough, r_squared


@dataclass(frozen=True)
class Line:
    """One number of a report, or why there is none."""

    name: str
    value: float | None
    refused: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class ConceptReport:
    """Everything `concept_report` has to say."""

    lines: list[Line]
    conditions: list[Condition]

    @property
    def refused_all(self) -> bool:
        """No regression was possible."""
        return all(line.value is None for line in self.lines if line.name.startswith("R² x ~"))

    def __getitem__(self, name: str) -> float:
        line = next(line for line in self.lines if line.name == name)
        if line.value is None:
            raise NotIdentifiable(line.refused)
        return line.value

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "numbers": {line.name: line.value for line in self.lines},
            "refused": {line.name: line.refused for line in self.lines if line.value is None},
            "conditions": {c.name: {"met": c.met, "said": c.said} for c in self.conditions},
        }


def concept_report(model: ConceptModel, readout: Readout | None = None) -> ConceptReport:
    """R^2 of activations against log-posteriors, marginals, probabilities and events, probes against Bayes, conditions.

    Args:
        model: tables of contexts, concepts, tokens.
        readout: activations of each context and the unembedding; those of a perfect predictor where None.

    Short of 1, a pooled R^2 of x depends on the gauge of x: an invertible map weighs its coordinates anew. That of a
    perfect predictor is taken where it equals the R^2 of its logits.

    Regressions are weighted by p(s), have an intercept, and are refused where there are fewer than 4 distinct contexts
    a regressor, or where a log-posterior is below log 1e-12.
    """
    exact = readout is None
    readout = exact_activations(model) if readout is None else readout
    x, contexts = readout.x, distinct_contexts(model)
    must(len(x) == model.n_contexts, "readout.x", f"one row for each of {model.n_contexts} contexts", len(x), "match")

    def r2(name: str, meaning: str, regressors: Tensor, targets: Tensor, logarithmic: bool = True) -> Line:
        def value() -> float:
            if logarithmic:
                _must_have_logarithms(model, name)
            unit = float(x.abs().max()) if regressors is x else 1.0  # nats and probabilities have a unit of their own
            varied = _varied(regressors, unit, name)
            must_be_enough(contexts, varied.shape[1], name)
            return r_squared(varied, targets, model.weights, name)

        return _line(name, meaning, value)

    odds = model.log_posterior[:, 1:] - model.log_posterior[:, :1]
    lines = [
        r2("R² x ~ log p(c|s)", "linear in the joint log-posterior, as published", model.log_posterior, x),
        r2("R² x ~ log p(c_k|s)", "in log-marginals", model.log_marginals, x),
        r2("R² x ~ p(c|s)", "in probabilities", model.log_posterior.exp(), x, False),
        r2("R² x ~ log p(E_y|s)", "in log-probabilities of the tokens' events", _distinct(model.log_events), x),
        r2("R² log-odds ~ x", "joint log-odds can be read from x", x, odds),
        r2("R² log p(c|s) ~ x", "log-posteriors can, their normaliser included", x, model.log_posterior),
        r2("R² concept log-odds ~ x", "binary concepts can", x, model.log_odds) if model.log_odds.numel() else None,
        r2("R² logits ~ x", "next-token logits: 1 for any optimum", x, centred(model.log_next), False),
        _line("max |softmax(xU) - p(y|s)|", "0 at the optimum", lambda: _fit_error(readout.logits, model)),
        _line("ambiguity E[1 - max p(c|s,y)]", "error of non-invertibility", lambda: model.ambiguity),
        _line("token ambiguity E[1 - max p(c|y)]", "the part that matters", lambda: model.token_ambiguity),
        _line("mean |h_y - h_0|", "what the linear form leaves out, nats", lambda: residual_size(model)),
        *_probe_lines(model, x, contexts),
        Line("width of x", float(x.shape[1]), meaning="rank of the token-centred log p(y|s)") if exact else None,
    ]
    return ConceptReport([line for line in lines if line is not None], conditions(model))


def _must_have_logarithms(model: ConceptModel, name: str) -> None:
    least = float(model.log_posterior.min())
    if least < LEAST:
        raise NotIdentifiable(f"{name} must have log p(c|s) >= log 1e-12; got {least:.4g}: make contexts less sharp.")


def _varied(regressors: Float[Tensor, "s p"], unit: float, name: str) -> Float[Tensor, "s q"]:
    """The columns that are no constants."""
    varied = regressors[:, (regressors - regressors[0]).abs().amax(0) > 1e-12 * unit]
    if not varied.shape[1]:
        raise NotIdentifiable(f"{name} must have a regressor that varies; got constants: no token excludes anything.")
    return varied


def residual_size(model: ConceptModel) -> float:
    """E over contexts, mean over tokens, of |h_y(s) - h_0(s)|, nats."""
    h = model.residual
    return float((model.weights / model.weights.sum()) @ (h[:, 1:] - h[:, :1]).abs().mean(1))


def _line(name: str, meaning: str, value: Callable[[], float]) -> Line:
    try:
        return Line(name, value(), meaning=meaning)
    except NotIdentifiable as error:
        return Line(name, None, str(error), meaning)


def _distinct(columns: Float[Tensor, "s t"]) -> Float[Tensor, "s k"]:
    """Tokens of one event count once."""
    return columns.T.unique(dim=0).T


def _fit_error(logits: Float[Tensor, "s t"], model: ConceptModel) -> float:
    return float((logits.softmax(1) - model.log_next.exp()).abs().max())


def _probe_lines(model: ConceptModel, x: Float[Tensor, "s d"], contexts: int) -> list[Line]:
    """Accuracy and log-loss of the population's probe beside Bayes, mean over binary concepts."""
    if not model.log_odds.numel():
        return []
    best = bayes(model)

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    lines = [
        Line("Bayes accuracy", mean(best.accuracy), meaning="mean over binary concepts"),
        Line("Bayes log-loss", mean(best.log_loss), meaning="H(c_k|s), nats"),
    ]
    try:
        must_be_enough(contexts, x.shape[1], "the probe")
    except NotIdentifiable as error:
        return [*lines, Line("probe accuracy", None, str(error)), Line("probe log-loss", None, str(error))]
    fitted = probe(model, x)
    return [
        *lines,
        Line("probe accuracy", mean(fitted.accuracy), meaning="does not test linearity: see log-loss and R²"),
        Line("probe log-loss", mean(fitted.log_loss), meaning="equal to Bayes iff log-odds are linear"),
    ]
