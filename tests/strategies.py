"""Hypothesis strategies for small worlds. They draw structures, and one integer seed for all that a world draws itself.

Everything drawn is feasible: rates fit the firing law, signs fit parent scaling, directions fit (n_true, d).
"""

import torch
from hypothesis import strategies as st

import synthetic as S

SEEDS = st.integers(0, 2**63 - 1)


def _floats(low, high):
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


# --- rates -----------------------------------------------------------------------------------------------------------


@st.composite
def falling_rates(draw, n_true, low=0.02, high=0.9):
    """Profiles that never rise and draw nothing themselves, all rates in [low, high]."""
    last, first = sorted((draw(_floats(low, high)), draw(_floats(low, high))))
    kinds = ["constant", "linear", "scaled", "zipf"] + (["stretched"] if n_true > 1 else [])
    match draw(st.sampled_from(kinds)):
        case "constant":
            return S.Constant(first)
        case "linear":
            return S.Linear(first, last)
        case "scaled":
            factor = draw(_floats(1.0, 2.0))
            return S.Scaled(S.Linear(first / factor, last / factor), factor)
        case "zipf":
            steepest = float(torch.log(torch.tensor(first / low)) / torch.log(torch.tensor(n_true + 1.0)))
            return S.Zipf(first, draw(_floats(0.0, steepest)))
        case "stretched":
            return S.StretchedZipf(draw(_floats(0.1, 3.0)), first, last)


@st.composite
def rates(draw, n_true, low=0.02, high=0.9, sure=False):
    """Any profile, all rates in [low, high]; with `sure` also features that always fire."""
    kind = draw(st.sampled_from(["falling", "random", "sure"] if sure else ["falling", "random"]))
    if kind == "falling":
        return draw(falling_rates(n_true, low, high))
    last, first = sorted((draw(_floats(low, high)), draw(_floats(low, high))))
    return S.Constant(1.0) if kind == "sure" else S.RandomRates(last, first)


def values(profile, n_true):
    """The rates of a profile that draws nothing itself."""
    return profile.draw(n_true, torch.Generator())


# --- firing laws: each strategy gives (n_true, firing) ---------------------------------------------------------------


@st.composite
def independent(draw):
    n_true = draw(st.integers(1, 16))
    return n_true, S.Independent(draw(rates(n_true, sure=True)))


@st.composite
def exactly_k(draw):
    n_true = draw(st.integers(1, 16))
    return n_true, S.ExactlyK(draw(st.integers(1, n_true)))


@st.composite
def mixed_k(draw):
    n_true = draw(st.integers(1, 16))
    return n_true, S.MixedK(tuple(draw(st.lists(st.integers(1, n_true), min_size=1, max_size=3))))


@st.composite
def partners(draw):
    k = draw(st.integers(2, 5))
    n_true = 2 * draw(st.integers(k, 9))
    return n_true, S.Partners(k, draw(_floats(0.0, 2 * (k // 2) / k)))


@st.composite
def exclusive(draw):
    size, groups = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    return size * groups, S.Exclusive(draw(rates(size * groups, high=1 / size)), size)


@st.composite
def latent_correlations(draw, n_true):
    """Equal correlations at or above 0 (everywhere or in groups), or disjoint pairs of either sign: semidefinite."""
    if n_true > 1 and draw(st.booleans()):
        order = draw(st.permutations(range(n_true)))
        count = draw(st.integers(1, n_true // 2))
        pairs = ((order[2 * i], order[2 * i + 1], draw(_floats(-0.95, 0.95))) for i in range(count))
        return S.LatentCorrelation(pairs=tuple(pairs))
    return S.LatentCorrelation(draw(_floats(0.0, 0.95)), draw(st.none() | st.integers(1, n_true)))


def phi_range(r, s):
    """Least and most correlation of two binary variables that are 1 with probabilities r and s (Frechet)."""
    spread = (r * (1 - r) * s * (1 - s)) ** 0.5
    return (max(0.0, r + s - 1) - r * s) / spread, (min(r, s) - r * s) / spread


@st.composite
def phis(draw, n_true, profile):
    """Disjoint pairs anywhere in 90 % of what their rates allow, or groups of two with one phi for all."""
    r = values(profile, n_true).tolist()
    if n_true < 2:
        return S.Phi()
    if draw(st.booleans()):
        order = draw(st.permutations(range(n_true)))
        pairs = []
        for i, j in zip(order[::2], order[1::2], strict=False):
            least, most = phi_range(r[i], r[j])
            pairs.append((i, j, draw(_floats(0.9 * least, 0.9 * most))))
        return S.Phi(pairs=tuple(pairs))
    ranges = [phi_range(r[i], r[i + 1]) for i in range(0, n_true - 1, 2)]
    return S.Phi(draw(_floats(0.9 * max(a for a, _ in ranges), 0.9 * min(b for _, b in ranges))), group=2)


@st.composite
def latent_copulas(draw):
    n_true = draw(st.integers(1, 12))
    return n_true, S.Copula(draw(rates(n_true, sure=True)), draw(latent_correlations(n_true)))


@st.composite
def phi_copulas(draw):
    n_true = draw(st.integers(1, 12))
    profile = draw(falling_rates(n_true))
    return n_true, S.Copula(profile, draw(phis(n_true, profile)))


def copulas():
    return latent_copulas() | phi_copulas()


@st.composite
def low_rank_copulas(draw):
    n_true = draw(st.integers(1, 16))
    return n_true, S.LowRankCopula(draw(rates(n_true, sure=True)), draw(st.integers(1, 5)), draw(_floats(0.0, 0.8)))


@st.composite
def forests(draw, compensation=None):
    """Forests of up to two levels below the roots with a few free features; `compensation` None draws one."""
    compensation = compensation or draw(st.sampled_from(["exact", "none", "synthsaebench"]))
    trees, branching, depth = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    exclusive, scaled = draw(st.booleans()), draw(st.booleans())
    n_true = trees * sum(branching**level for level in range(depth + 1)) + draw(st.integers(0, 3))
    shape = {"trees": trees, "branching": branching, "depth": depth, "exclusive": exclusive, "scale_by_parent": scaled}
    if compensation == "exact" and exclusive:
        profile = S.Zipf(draw(_floats(0.1, 0.9)), _steep_enough(shape, n_true) + draw(_floats(0.0, 0.3)))
        return n_true, S.Forest(S.Independent(profile), compensation=compensation, **shape)
    if compensation == "exact":
        return n_true, S.Forest(S.Independent(draw(falling_rates(n_true))), compensation=compensation, **shape)
    base = S.Independent(draw(rates(n_true)))
    if draw(st.booleans()):
        base = S.LowRankCopula(base.rates, draw(st.integers(1, 3)), draw(_floats(0.0, 0.4)))
    return n_true, S.Forest(base, compensation=compensation, **shape)


def _steep_enough(shape, n_true):
    """Least Zipf exponent, on a grid of 0.05, at which no family of exclusive children exceeds its parent."""
    parents = S.Forest(S.Independent(), compensation="none", **shape).parents(n_true)
    child = (parents >= 0).nonzero().squeeze(1)
    exponent = 0.0
    while True:
        rate = values(S.Zipf(0.9, exponent), n_true)
        if bool((torch.zeros_like(rate).index_add(0, parents[child], rate[child]) <= rate).all()):
            return exponent
        exponent += 0.05


@st.composite
def concept_trees(draw):
    n_true = draw(st.integers(1, 9))
    parents = tuple(draw(st.integers(-1, i - 1)) for i in range(n_true))
    weights = [draw(_floats(0.1, 1.0)) for _ in parents]
    total = {p: sum(w for w, q in zip(weights, parents, strict=True) if q == p) for p in parents}
    most = draw(_floats(0.5, 1.0))
    shares = tuple(most * w / total[p] for w, p in zip(weights, parents, strict=True))
    return n_true, S.ConceptTree(parents, shares, draw(st.sampled_from(["family", "depth"])))


@st.composite
def concept_dags(draw):
    n_true = draw(st.integers(1, 8))
    parents = tuple(tuple(sorted(draw(st.sets(st.integers(0, i - 1), max_size=3)))) if i else () for i in range(n_true))
    coins = tuple(draw(st.lists(_floats(0.1, 1.0), min_size=n_true, max_size=n_true)))
    return n_true, S.ConceptDag(parents, coins, draw(st.sampled_from(["any", "all"])))


@st.composite
def frequent_pairs(draw):
    k, pairs = draw(st.integers(2, 4)), draw(st.integers(0, 3))
    free = draw(st.integers(k - 2, 4))
    n_true = max(2 * pairs + free, k) + draw(st.integers(0, 3))
    return n_true, S.FrequentPairs(k, pairs, draw(_floats(0.0, 1 / max(pairs, 1))), free)


@st.composite
def subspaces(draw):
    dim, groups = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    return dim * groups, S.Subspaces(dim, draw(st.integers(1, groups)))


@st.composite
def families(draw):
    n_true = draw(st.integers(1, 12))
    return n_true, S.Families(draw(rates(n_true)), draw(st.integers(1, n_true)))


FIRING = {
    "independent": independent(),
    "exactly_k": exactly_k(),
    "mixed_k": mixed_k(),
    "partners": partners(),
    "exclusive": exclusive(),
    "copula": copulas(),
    "low_rank_copula": low_rank_copulas(),
    "concept_tree": concept_trees(),
    "concept_dag": concept_dags(),
    "frequent_pairs": frequent_pairs(),
    "subspaces": subspaces(),
    "families": families(),
    "forest_exact": forests("exact"),
    "forest_none": forests("none"),
    "forest_synthsaebench": forests("synthsaebench"),
}

# --- magnitudes ------------------------------------------------------------------------------------------------------

light = st.one_of(
    st.builds(S.ConstantMagnitude, _floats(0.1, 3.0)),
    st.builds(lambda low, width: S.Uniform(low, low + width), _floats(0.0, 2.0), _floats(0.1, 2.0)),
    st.builds(S.FoldedNormal, _floats(-2.0, 2.0), _floats(0.2, 2.0)),
    st.builds(S.LogNormal, _floats(0.2, 2.0), _floats(0.05, 0.4)),
    st.builds(S.Normal, _floats(0.3, 2.0), _floats(0.0, 1.0)),
)
never_zero = light | st.builds(S.Exponential, _floats(0.2, 2.0))
per_feature = st.builds(S.PerFeature, _floats(0.2, 2.0), _floats(0.2, 2.0), _floats(0.0, 1.0), _floats(0.0, 1.0))


def magnitudes(plain, signed=True):
    """A law of `plain`, bare or wrapped; `signed` False leaves both signs out."""
    mixed = st.builds(S.MixedSigns, plain, _floats(0.0, 1.0), _floats(0.2, 0.8))
    some = plain | st.builds(S.Signed, plain) | mixed if signed else plain
    return some | st.builds(S.SharedGain, some, _floats(0.05, 0.3))


# --- noise -----------------------------------------------------------------------------------------------------------


@st.composite
def noises(draw, by_ratio=True):
    """No noise, or either kind by standard deviation or (`by_ratio`) by signal-to-noise ratio."""
    kind = draw(st.sampled_from([None, S.Isotropic, S.Coloured]))
    if kind is None:
        return S.NoNoise()
    ratio = by_ratio and draw(st.booleans())
    level = {"snr_db": draw(_floats(-10.0, 30.0))} if ratio else {"sd": draw(_floats(0.0, 1.0))}
    return kind(**level, **({"decay": draw(_floats(0.0, 2.0))} if kind is S.Coloured else {}))


# --- directions ------------------------------------------------------------------------------------------------------


@st.composite
def directions(draw, n_true, d):
    """Families that exist for n_true rows in d dimensions."""
    kinds = [S.RandomSphere, S.Duplicates, S.CommonMean, S.Orthogonalised]
    kinds += [S.Orthonormal, S.Cone] if n_true <= d else []
    kinds += [S.Simplex] if 2 <= n_true <= d + 1 else []
    kinds += [S.TightFrame] if n_true >= d else []
    kinds += [S.Antipodal] if n_true % 2 == 0 else []
    kinds += [S.LowCoherence] if 2 <= n_true <= 2 * d and d >= 4 else []
    kinds += [S.Given] if n_true * d <= 40 else []
    kinds += [S.ConditionallyOrthogonal, S.DisjointSupports] if n_true <= d else []
    kinds += [S.LevelSubspaces, S.RandomFrames] if d >= 2 else []
    kinds += [S.CoreExclusive] if n_true % 2 == 0 and d >= 3 * n_true // 2 else []
    kind = draw(st.sampled_from(kinds))
    if kind is S.Duplicates:
        return kind(draw(_floats(0.0, 0.5)))
    if kind is S.CommonMean:
        return kind(draw(_floats(0.0, 0.95)))
    if kind is S.Orthogonalised:
        return kind(draw(st.integers(0, 3)), 0.01)
    if kind is S.Cone:
        k = draw(st.sampled_from([k for k in range(1, n_true + 1) if n_true % k == 0]))
        return kind(draw(_floats(-1 / (k - 1) if k > 1 else -1.0, 0.95)), k)
    if kind is S.LowCoherence:
        return kind(draw(_floats(0.6, 0.95)), draw(st.sampled_from(["max", "mean_max"])))
    if kind is S.ConditionallyOrthogonal:
        first = draw(st.integers(1, n_true))
        sizes = (first, n_true - first) if first < n_true else (n_true,)
        return kind(sizes, draw(_floats(0.0, 0.9)), 0.0)
    if kind is S.LevelSubspaces:
        return kind((1, n_true - 1), (1, d - 1)) if n_true > 1 else kind((1,), (d,))
    if kind in (S.DisjointSupports, S.RandomFrames):
        most = d // n_true if kind is S.DisjointSupports else d
        return kind(
            draw(st.sampled_from([k for k in range(1, most + 1) if kind is S.DisjointSupports or not n_true % k]))
        )
    if kind is S.CoreExclusive:
        return kind(n_true // 2, 2, 1, 1, draw(_floats(0.5, 2.0)))
    if kind is S.Given:
        entry = st.integers(-3, 3).map(float)
        row = st.tuples(*[entry] * (d - 1), st.sampled_from([-1.0, 0.5, 2.0]))
        return kind(draw(st.tuples(*[row] * n_true)))
    return kind()


# --- worlds ----------------------------------------------------------------------------------------------------------


@st.composite
def worlds(draw, firing=None, zeros=True):
    """Feasible sparse mixtures; `firing` is a strategy of (n_true, law), `zeros` allows magnitudes that may be 0.

    Where magnitudes multiply along a path, the heaviest tail is left out: normal tails would be too short there.
    """
    n_true, law = draw(st.one_of(*FIRING.values()) if firing is None else firing)
    scaled = isinstance(law, S.Forest) and law.scale_by_parent
    closed = not (isinstance(law, S.Forest) and isinstance(law.base, S.LowRankCopula))
    plain = (light if scaled else never_zero) | (per_feature if zeros else st.nothing())
    d = draw(st.integers(2, 10))
    return S.SparseMixture(
        n_true=n_true,
        d=d,
        directions=draw(directions(n_true, d)),
        firing=law,
        magnitudes=draw(magnitudes(plain, signed=not scaled)),
        noise=draw(noises(by_ratio=closed)),
        bias_norm=draw(st.just(0.0) | _floats(0.1, 2.0)),
        seed=draw(SEEDS),
    )
