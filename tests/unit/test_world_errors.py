"""Every refusal of the worlds: what must hold, what was given, what to do."""

import ast
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import config

import synthetic as S
from synthetic.actions import Interventions
from synthetic.attention.layer import PlantedAttention

LAWED = ("copula", "directions", "firing", "forest", "magnitudes", "noise", "rates", "dag", "tree")
LAWED += ("neuron_rows", "sets", "subspaces")
MODULES = ("mixture", "actions", "attention.layer", "transformed")
MODULES += tuple(f"concepts.{name}" for name in ("model", "priors", "contexts", "tokens", "latent", "world"))
MODULES += tuple(f"laws.{name}" for name in LAWED)


def world(n_true=8, d=4, **fields):
    """Everything that such a world draws."""
    return S.SparseMixture(n_true=n_true, d=d, **fields).tensors


def rows(family, n=8, d=4):
    return world(n, d, directions=family)


def fired(law, n=8):
    return world(n, firing=law)


def forest(rates, **fields):
    return fired(S.Forest(S.Independent(rates), **{"trees": 2, "branching": 2, "depth": 1, **fields}))


def interactions(members=((0, 1),), **fields):
    return S.Interactions(S.SparseMixture(n_true=4, d=5, directions=S.Orthonormal()), members, **fields)


def concept_model(log_joint=None, tokens=None, sizes=(2,)):
    """A model of one binary concept, two contexts and two tokens, unless said otherwise."""
    even = torch.full((2, 2), 0.25, dtype=torch.float64).log()
    half = torch.full((2, 2), 0.5, dtype=torch.float64)
    return S.ConceptModel(sizes, even if log_joint is None else log_joint, half if tokens is None else tokens)


def drawn(law, sizes=(2, 2)):
    return law.draw(sizes, S.stream(0, "test"))


def concepts(**fields):
    return S.LatentConcepts(contexts=S.Energy(60, 1.0), **fields)


REFUSED = {
    # annotations
    "Constant.rate must be a finite number; got '0.1': give one.": lambda: S.Constant("0.1"),
    "Constant.rate must be a finite number; got nan: give one.": lambda: S.Constant(float("nan")),
    "SparseMixture.n_true must be a whole number; got 4.0: give one.": lambda: S.SparseMixture(n_true=4.0),
    "SparseMixture.n_true must be a whole number; got True: give one.": lambda: S.SparseMixture(n_true=True),
    f"SparseMixture.n_true must be a whole number; got {2**63}: give one.": lambda: S.SparseMixture(n_true=2**63),
    "SparseMixture.firing must be of the kind Firing; got Zipf(rate=0.3, exponent=1.0): give one.": (
        lambda: S.SparseMixture(firing=S.Zipf())
    ),
    f"Scaled.inner must be an object; got {S.Constant}: call the class.": lambda: S.Scaled(S.Constant),
    "Forest.exclusive must be true or false; got 1: give one.": lambda: S.Forest(exclusive=1),
    "Cone.k must be a whole number or none; got 'x': give one.": lambda: S.Cone(k="x"),
    "Given.rows must be a list of any number of a list of any number of a finite number; got [[1, 'x']]: give one.": (
        lambda: S.Given([[1, "x"]])
    ),
    "LatentCorrelation.pairs must be a list of any number of a list of a whole number, a whole number, "
    "a finite number; got ((0, 1),): give one.": lambda: S.LatentCorrelation(pairs=((0, 1),)),
    # rates
    "Constant.rate must be in (0, 1]; got 0.0: give a probability.": lambda: S.Constant(0.0),
    "Constant.rate must be in (0, 1]; got 1.5: give a probability.": lambda: S.Constant(1.5),
    "Levels.rates must be probabilities in (0, 1]; got (0.1, 0.0): give at least one.": lambda: S.Levels((0.1, 0.0)),
    "Levels.rates must be at most n_true=1; got 2: drop some.": (
        lambda: S.SparseMixture(n_true=1, firing=S.Independent(S.Levels((0.2, 0.1)))).tensors
    ),
    "Linear.low, high must be ordered, 0 < low <= high <= 1; got (0.3, 0.1): swap or clip the two rates.": (
        lambda: S.Linear(high=0.1, low=0.3)
    ),
    "RandomRates.low, high must be ordered, 0 < low <= high <= 1; got (0.0, 0.3): swap or clip the two rates.": (
        lambda: S.RandomRates(0.0, 0.3)
    ),
    "StretchedZipf.low, high must be ordered, 0 < low <= high <= 1; got (0.0005, 1.4): swap or clip the two rates.": (
        lambda: S.StretchedZipf(high=1.4)
    ),
    "StretchedZipf.exponent must be above 0; got 0.0: use Constant for equal rates.": lambda: S.StretchedZipf(0.0),
    "StretchedZipf must be used with at least two features; got 1: use Constant for one.": (
        lambda: world(1, firing=S.Independent(S.StretchedZipf()))
    ),
    "Zipf.rate must be in (0, 1]; got 1.2: give the first feature's probability.": lambda: S.Zipf(1.2),
    "Zipf.exponent must be at least 0; got -1.0: rates fall with rank.": lambda: S.Zipf(0.3, -1.0),
    "Scaled.factor must be above 0; got 0.0: raise it.": lambda: S.Scaled(S.Constant(0.5), 0.0),
    "Scaled.factor must be one that leaves rates at most 1; got a rate of 1.5: lower it.": (
        lambda: fired(S.Independent(S.Scaled(S.Constant(0.5), 3.0)))
    ),
    "Coloured.decay must be at least 0; got -1.0: eigenvalues fall; 0 is isotropic.": lambda: S.Coloured(
        1.0, decay=-1.0
    ),
    "SparseMixture.sample.n must be at least 1; got 0: draw at least one sample.": lambda: S.SparseMixture().sample(
        0, S.stream(0, "x")
    ),
    # firing
    "ExactlyK.k must be in [1, n_true=8]; got 9: lower k or raise n_true.": lambda: fired(S.ExactlyK(9)),
    "ExactlyK.k must be in [1, n_true=8]; got 0: lower k or raise n_true.": lambda: fired(S.ExactlyK(0)),
    "Exclusive.size must be a divisor of n_true=8; got 3: change one of the two.": lambda: fired(S.Exclusive(size=3)),
    "Exclusive.size must be a divisor of n_true=8; got 0: change one of the two.": lambda: fired(S.Exclusive(size=0)),
    "Exclusive.rates must be at most 1 in sum over a group; got 2.0: lower the rates or size.": (
        lambda: fired(S.Exclusive(S.Constant(0.5), 4))
    ),
    # copula
    "Phi.value must be in [-0.07538, 0.5528] for rates 0.04 and 0.12; got 0.6: "
    "binary variables of unequal or small rates cannot correlate more.": (
        lambda: world(2, firing=S.Copula(S.Linear(0.12, 0.04), S.Phi(0.6)))
    ),
    "Phi.value must be in [-0.25, 0.9901] for rates 0.2 and 0.2; got -0.3: "
    "binary variables of unequal or small rates cannot correlate more.": (
        lambda: fired(S.Copula(S.Constant(0.2), S.Phi(-0.3, group=2)))
    ),
    "Phi.value must be in [0, 0] for rates 1 and 1; got 0.3: "
    "binary variables of unequal or small rates cannot correlate more.": (
        lambda: fired(S.Copula(S.Constant(1.0), S.Phi(0.3)))
    ),
    "pairs must be of distinct features below 8; got (3, 3): renumber.": (
        lambda: fired(S.Copula(dependence=S.Phi(pairs=((3, 3, 0.1),))))
    ),
    "pairs must be of distinct features below 8; got (0, 8): renumber.": (
        lambda: fired(S.Copula(dependence=S.LatentCorrelation(pairs=((0, 8, 0.1),))))
    ),
    "Copula.dependence must be positive semidefinite; got smallest eigenvalue -0.4: "
    "weaken the negative or inconsistent correlations.": (
        lambda: fired(S.Copula(dependence=S.LatentCorrelation(-0.2)))
    ),
    "LowRankCopula.rank must be at least 1; got 0: use Independent for no dependence.": (
        lambda: S.LowRankCopula(rank=0)
    ),
    "LowRankCopula.scale must be at least 0; got -0.1: give a standard deviation.": (
        lambda: S.LowRankCopula(scale=-0.1)
    ),
    # hierarchy
    "Forest.trees must be at least 1; got 0: raise it.": lambda: S.Forest(trees=0),
    "Forest.branching must be at least 1; got 0: raise it.": lambda: S.Forest(branching=0),
    "Forest.depth must be at least 1; got 0: raise it.": lambda: S.Forest(depth=0),
    "Forest.compensation must be one of ('exact', 'none', 'synthsaebench'); got 'some': choose one of these.": (
        lambda: S.Forest(compensation="some")
    ),
    "Forest.base must be Independent where compensation is 'exact'; got LowRankCopula: "
    "set compensation to 'none' or 'synthsaebench'.": lambda: S.Forest(S.LowRankCopula()),
    "Forest must be of at most n_true=8 features; got 9: shrink the trees or raise n_true.": (
        lambda: forest(S.Constant(), trees=3)
    ),
    "Forest.base.rates must be at most the parent's rate for a child (in sum for exclusive children); "
    "got 0.2 under a parent of 0.1: lower the children's rates or set compensation='none'.": (
        lambda: forest(S.Constant(0.1), exclusive=True)
    ),
    "Forest.base.rates must be at most the parent's rate for a child (in sum for exclusive children); "
    "got 0.05714 under a parent of 0.04: lower the children's rates or set compensation='none'.": (
        lambda: forest(Rising(0.04, 0.1), trees=1, depth=2)
    ),
    # magnitudes
    "ConstantMagnitude.value must be above 0; got -1.0: wrap it in Signed for both signs.": (
        lambda: S.ConstantMagnitude(-1.0)
    ),
    "Uniform.low, high must be ordered, 0 <= low < high; got (2.0, 1.0): swap or raise them.": (
        lambda: S.Uniform(2.0, 1.0)
    ),
    "Uniform.low, high must be ordered, 0 <= low < high; got (-1.0, 1.0): swap or raise them.": (
        lambda: S.Uniform(-1.0, 1.0)
    ),
    "FoldedNormal.sd must be above 0; got 0.0: use ConstantMagnitude for no spread.": lambda: S.FoldedNormal(1.0, 0.0),
    "Exponential.mean must be above 0; got 0.0: magnitudes are positive.": lambda: S.Exponential(0.0),
    "LogNormal.median, spread must be above 0; got LogNormal(median=1.0, spread=0.0): raise both.": (
        lambda: S.LogNormal(1.0, 0.0)
    ),
    "PerFeature.first, last must be above 0; got (5.0, -1.0): raise them.": lambda: S.PerFeature(last=-1.0),
    "PerFeature.sd_mean, sd_sd must be at least 0; got PerFeature(first=5.0, last=4.0, sd_mean=0.5, sd_sd=-1.0): "
    "raise them.": lambda: S.PerFeature(sd_sd=-1.0),
    "Signed.inner must be without a shared gain; got SharedGain: write SharedGain(Signed(...)).": (
        lambda: S.Signed(S.SharedGain(S.Uniform()))
    ),
    "SharedGain.spread must be above 0; got 0.0: drop the wrapper for no gain.": lambda: S.SharedGain(S.Uniform(), 0.0),
    "SharedGain.inner must be without a shared gain; got SharedGain: wrap once: squared spreads add.": (
        lambda: S.SharedGain(S.SharedGain(S.Uniform()))
    ),
    # noise
    "Isotropic must be given as either sd or snr_db; got (None, None): set exactly one.": (
        lambda: world(noise=S.Isotropic())
    ),
    "Coloured must be given as either sd or snr_db; got (0.1, 3.0): set exactly one.": (
        lambda: world(noise=S.Coloured(sd=0.1, snr_db=3.0))
    ),
    "Isotropic.sd must be at least 0; got -0.1: give a standard deviation.": lambda: world(noise=S.Isotropic(sd=-0.1)),
    "Isotropic.snr_db must be used where Cov[x] is closed; got a world where it is not: give sd.": (
        lambda: world(
            firing=S.Forest(S.LowRankCopula(), trees=2, depth=1, compensation="none"), noise=S.Isotropic(snr_db=3.0)
        )
    ),
    # directions
    "Orthonormal must be used with n_true <= d=4; got 8: raise d or choose an overcomplete family.": (
        lambda: rows(S.Orthonormal())
    ),
    "Cone must be used with n_true <= d=4; got 8: raise d or choose an overcomplete family.": lambda: rows(S.Cone()),
    "Cone.k must be a divisor of n_true=4; got 3: change one of the two.": lambda: rows(S.Cone(k=3), 4),
    "Cone.mu must be in [-1/(k-1), 1) = [-0.3333, 1); got -0.5: no such vectors exist.": lambda: rows(S.Cone(-0.5), 4),
    "Cone.mu must be in [-1/(k-1), 1) = [-1, 1); got 1.0: no such vectors exist.": lambda: rows(S.Cone(1.0, k=2), 4),
    "Simplex must be used with 2 <= n_true <= d+1=5; got 8: raise d or lower n_true.": lambda: rows(S.Simplex()),
    "TightFrame must be used with n_true >= d=4; got 3: use Orthonormal for fewer features.": (
        lambda: rows(S.TightFrame(), 3)
    ),
    "Antipodal must be used with an even n_true; got 3: add or drop one feature.": lambda: rows(S.Antipodal(), 3),
    "CommonMean.cosine must be in [0, 1); got 1.0: use Duplicates for equal rows.": lambda: S.CommonMean(1.0),
    "CommonMean must be used with d >= 2; got 1: raise d: a line has no room beside the mean.": (
        lambda: rows(S.CommonMean(), d=1)
    ),
    "Duplicates.share must be in [0, 0.5]; got 0.6: each row has one original.": lambda: S.Duplicates(0.6),
    "Given.rows must be of shape (n_true, d)=(8, 4); got (1, 2): match the world.": lambda: rows(
        S.Given(((1.0, 2.0),))
    ),
    "Given.rows must be nonzero; got a zero row: drop it.": lambda: rows(S.Given(((1.0, 0.0), (0.0, 0.0))), 2, 2),
    "LowCoherence.overlap must be in (0, 1); got 0.0: use Orthonormal for 0.": lambda: S.LowCoherence(0.0),
    "LowCoherence.kind must be one of ('max', 'mean_max'); got 'mean': choose one of these.": lambda: S.LowCoherence(
        kind="mean"
    ),
    "LowCoherence must be used with n_true >= 2; got 1: use RandomSphere for one feature.": (
        lambda: rows(S.LowCoherence(), 1)
    ),
    "LowCoherence.overlap must be at least the Welch bound 0.378 of 8 features in d=4; got 0.1: "
    "raise d or the overlap.": lambda: rows(S.LowCoherence(0.1)),
    "LowCoherence.overlap must be one that 1 steps reach (NUMBER here, Welch bound 0.3780); got 0.4: "
    "raise the overlap, d or steps.": lambda: rows(S.LowCoherence(0.4, steps=1)),
    # trees and graphs of concepts
    "ConceptTree.parents_of must be earlier features, or -1; got (1, -1): number parents before children.": (
        lambda: S.ConceptTree((1, -1), (0.5, 0.5))
    ),
    "ConceptTree.shares must be a probability in (0, 1] for each parent; got (0.5,): give one a feature.": (
        lambda: S.ConceptTree((-1, 0), (0.5,))
    ),
    "ConceptTree.shares must be at most 1 in sum over siblings; got 1.25: lower them.": (
        lambda: S.ConceptTree((-1, 0, 0), (0.5, 0.75, 0.5))
    ),
    "ConceptTree.level must be one of ('family', 'depth'); got 'row': choose one of these.": (
        lambda: S.ConceptTree(level="row")
    ),
    "ConceptTree.parents_of must be as many as n_true=8; got 20: match the world.": lambda: fired(S.ConceptTree()),
    "ConceptDag.parents_of must be sets of earlier features; got ((), (1,)): number parents before children.": (
        lambda: S.ConceptDag(((), (1,)), (0.5, 0.5))
    ),
    "ConceptDag.coins must be a probability in (0, 1] for each feature; got (0.5, 1.5): give one a feature.": (
        lambda: S.ConceptDag(((), (0,)), (0.5, 1.5))
    ),
    "ConceptDag.rule must be one of ('any', 'all'); got 'none': choose one of these.": lambda: S.ConceptDag(
        rule="none"
    ),
    "ConceptDag.parents_of must be connected pieces of at most 14 features; got 15: "
    "cut the graph: its statistics list all states.": (lambda: S.ConceptDag(((), *[(0,)] * 14), (0.5,) * 15)),
    "ConceptDag.parents_of must be as many as n_true=8; got 3: match the world.": lambda: fired(S.ConceptDag()),
    # pairs and subspaces
    "FrequentPairs.k must be at least 2; got 1: a pair needs two places.": lambda: S.FrequentPairs(1),
    "FrequentPairs.pairs must be at least 0; got -1: give a number of pairs.": lambda: S.FrequentPairs(pairs=-1),
    "FrequentPairs.each must be at most 1 over all pairs; got 1.5: lower it.": lambda: S.FrequentPairs(3, 2, 0.75),
    "FrequentPairs.free must be at least k-2=2; got 1: add free ones.": lambda: S.FrequentPairs(4, free=1),
    "FrequentPairs must be used with n_true of at least 24; got 8: add features.": lambda: fired(S.FrequentPairs()),
    "Partners.together must be in [0, 0.6667], all that 3 firing features allow; got 0.7: lower it or make k even.": (
        lambda: S.Partners(3, 0.7)
    ),
    "Partners.k must be at least 2; got 1: a feature that fires alone has no partner.": lambda: S.Partners(1),
    "Partners must be used with an even n_true of at least 2k=4; got 7: change n_true or k.": lambda: fired(
        S.Partners(2), 7
    ),
    "MixedK.ks must be numbers in [1, n_true=8]; got (2, 9): lower them or raise n_true.": lambda: fired(
        S.MixedK((2, 9))
    ),
    "GaussianRows.d must be at least 1; got 0: give the world's d.": lambda: S.GaussianRows(0),
    "GaussianRows.value must be above 0; got 0: give a length.": lambda: S.GaussianRows(4, 0),
    "Subspaces.dim must be at least 1; got 0: raise it.": lambda: S.Subspaces(0),
    "Subspaces.dim must be a divisor of n_true=8; got 3: change one of the two.": lambda: fired(S.Subspaces(3)),
    "Subspaces.k must be in [1, n_true/dim=4]; got 5: lower k or add features.": lambda: fired(S.Subspaces(2, 5)),
    "RandomFrames.dim must be a divisor of n_true=8; got 3: change one of the two.": lambda: rows(S.RandomFrames(3)),
    "RandomFrames.dim must be at most d=4; got 8: raise d.": lambda: rows(S.RandomFrames(8)),
    # geometry of levels and neurons
    "ConditionallyOrthogonal.sizes must be numbers of at least 1; got (): list the rows of each level.": (
        lambda: S.ConditionallyOrthogonal(())
    ),
    "ConditionallyOrthogonal.sizes must be n_true=8 in sum; got 20: match the world.": (
        lambda: rows(S.ConditionallyOrthogonal())
    ),
    "ConditionallyOrthogonal must be used with n_true <= d=4; got 8: raise d or use LevelSubspaces.": (
        lambda: rows(S.ConditionallyOrthogonal((5, 3)))
    ),
    "ConditionallyOrthogonal.within, across must be inner products of independent unit rows; "
    "got (0.0, 0.6), whose Gram matrix has the eigenvalue -0.2: bring both nearer to 0.": (
        lambda: rows(S.ConditionallyOrthogonal((2, 2), 0.0, 0.6), 4)
    ),
    "LevelSubspaces.sizes, dims must be as many numbers of at least 1; got ((3, 5), (2,)): give both for each level.": (
        lambda: S.LevelSubspaces((3, 5), (2,))
    ),
    "LevelSubspaces.sizes must be n_true=8 in sum; got 9: match the world.": (
        lambda: rows(S.LevelSubspaces((4, 5), (2, 2)))
    ),
    "InViews.views must be a divisor of d=4; got 3: change one of the two.": lambda: rows(S.InViews(3)),
    "SparseMap.fan must be at most n_out=2; got 3: lower it.": lambda: S.find_source("sparse_map", n_out=2, fan=3),
    "LevelSubspaces.dims must be at most d=4 in sum; got 5: raise d or shrink the subspaces.": (
        lambda: rows(S.LevelSubspaces((4, 4), (2, 3)))
    ),
    "DisjointSupports.size must be from 1 to d/n_true = 4; got 10: change it or raise d.": (
        lambda: rows(S.DisjointSupports(), 8, 32)
    ),
    "CoreExclusive.leaves must be at least 1; got 0: raise it.": lambda: S.CoreExclusive(leaves=0),
    "CoreExclusive.core must be at least 0; got -1: give a number of neurons.": lambda: S.CoreExclusive(core=-1),
    "CoreExclusive.boost must be above 0; got 0.0: raise it or leaves coincide.": lambda: S.CoreExclusive(boost=0.0),
    "CoreExclusive.overlap must be in [0, core // 2 = 6]; got 7: lower it.": lambda: S.CoreExclusive(overlap=7),
    "CoreExclusive.leaves must be even where leaves are opposed; got 3: add or drop one leaf.": (
        lambda: S.CoreExclusive(leaves=3, opposed=True)
    ),
    "CoreExclusive must be used with n_true = families x leaves = 16; got 8: match the world.": (
        lambda: rows(S.CoreExclusive())
    ),
    "CoreExclusive must be used with d of at least 144; got 4: raise d.": lambda: rows(S.CoreExclusive(), 16),
    "Families.size must be at least 1; got 0: raise it.": lambda: S.Families(size=0),
    # signs and normals
    "MixedSigns.share must be in [0, 1]; got 1.5: give a fraction of the features.": (
        lambda: S.MixedSigns(S.Uniform(), 1.5)
    ),
    "MixedSigns.positive must be in [0, 1]; got -0.1: give a probability.": lambda: S.MixedSigns(
        S.Uniform(), 1.0, -0.1
    ),
    "MixedSigns.inner must be without a shared gain or mixed signs; got SharedGain: wrap the plain law once.": (
        lambda: S.MixedSigns(S.SharedGain(S.Uniform()))
    ),
    "Normal.sd must be at least 0; got -1.0: give standard deviations.": lambda: S.Normal(1.0, -1.0),
    "Normal.mean must be nonzero; got (1.0, 0.0): a feature of mean 0 is not seen to fire.": (
        lambda: S.Normal((1.0, 0.0))
    ),
    "Normal.mean must be one number or n_true=8; got 2: give one a feature.": (
        lambda: world(magnitudes=S.Normal((1.0, 2.0)))
    ),
    # interactions and neurons
    "Interactions.logic must be one of ('product', 'and', 'xor'); got 'or': choose one of these.": (
        lambda: interactions(logic="or")
    ),
    "Interactions.targets must be one of ('outside', 'inside'); got 'random': choose one of these.": (
        lambda: interactions(targets="random")
    ),
    "Interactions.members must be at least one set; got (): use the mixture itself.": lambda: interactions(()),
    "Interactions.members must be sets of two or more distinct features below 4; got (0, 4): renumber.": (
        lambda: interactions(((0, 4),))
    ),
    "Interactions.members must be sets of two or more distinct features below 4; got (1, 1): renumber.": (
        lambda: interactions(((1, 1),))
    ),
    "Interactions.members must be pairs for 'xor'; got (0, 1, 2): use 'and' or 'product' for more.": (
        lambda: interactions(((0, 1, 2),), logic="xor")
    ),
    "Interactions.members must be at most d - rank V = 1 sets where targets lie outside span(V); got 2: "
    "raise d, drop some, or set targets='inside'.": lambda: interactions(((0, 1), (2, 3))).tensors,
    "Nonlinear.width must be at least 1; got 0: add neurons.": lambda: S.Nonlinear(S.SparseMixture(), 0),
    "Nonlinear.gain must be above 0; got 0.0: raise it.": lambda: S.Nonlinear(S.SparseMixture(), gain=0.0),
    "Nonlinear.inner.magnitudes must be of nonzero nominal mean; got a zero: use MixedSigns for Signed.": (
        lambda: S.Nonlinear(S.SparseMixture(magnitudes=S.Signed(S.Uniform()))).truth
    ),
    # concepts
    "concepts.sizes must be values of each concept, 2 or more, at most 4096 in product; got (2, 1): change it.": (
        lambda: drawn(S.Potts(), (2, 1))
    ),
    "ConceptModel.log_joint, tokens must be of shapes (contexts, 2) and (2, tokens); got ((2, 3), (2, 2)): "
    "match them.": lambda: concept_model(torch.zeros(2, 3).double()),
    "ConceptModel.log_joint, tokens must be float64; got (torch.float32, torch.float64): convert.": (
        lambda: concept_model(torch.zeros(2, 2))
    ),
    "ConceptModel.log_joint must be finite; got -inf or NaN: mix with 1 %.": (
        lambda: concept_model(torch.tensor([[-torch.inf, 0.0]]).double())
    ),
    "ConceptModel.log_joint must be that of probabilities with sum 1; got 4.0: normalise.": (
        lambda: concept_model(torch.zeros(2, 2).double())
    ),
    "ConceptModel.tokens must be a distribution in each row; got a row off by 1: normalise rows.": (
        lambda: concept_model(tokens=torch.ones(2, 2).double())
    ),
    "ConceptModel.tokens must be without empty columns; got one: drop it.": (
        lambda: concept_model(tokens=torch.tensor([[1.0, 0.0], [1.0, 0.0]]).double())
    ),
    "ErDag.degree must be at least 0; got -1.0: expected parents a concept.": lambda: S.ErDag(-1.0),
    "ErDag.concentration must be above 0; got 0.0: 1 is uniform.": lambda: S.ErDag(1.0, 0.0),
    "Potts.strength must be at least 0; got -1.0: the sd of the couplings.": lambda: S.Potts(-1.0),
    "Potts.field must be at least 0; got -1.0: the sd of the fields.": lambda: S.Potts(1.0, -1.0),
    "IndependentPrior.concentration must be above 0; got 0.0: 1 is uniform.": lambda: S.IndependentPrior(0.0),
    "TreePrior.branching must be at least 1; got 0: children of a concept.": lambda: S.TreePrior(0),
    "TreePrior.concentration must be above 0; got 0.0: 1 is uniform.": lambda: S.TreePrior(2, 0.0),
    "Table.contexts must be at least 1 and at most 100000; got 0: every context is enumerated.": lambda: S.Table(0),
    "Table.concentration must be above 0; got 0.0: 1 is uniform.": lambda: S.Table(9, 0.0),
    "Observations.length must be at least 1; got 0: observe a token.": lambda: S.Observations(0),
    "Observations.vocabulary must be at least 2; got 1: one says nothing.": lambda: S.Observations(3, 1),
    "Observations.concentration must be above 0; got 0.0: 1 is uniform.": lambda: S.Observations(3, 3, 0.0),
    "Observations' count vectors must be at least 1 and at most 100000; got 435897: every context is enumerated.": (
        lambda: S.Observations(32, 6)
    ),
    "Energy.contexts must be at least 1 and at most 100000; got 0: every context is enumerated.": lambda: S.Energy(0),
    "Energy.sharpness must be at least 0; got -1.0: 0 says nothing of c.": lambda: S.Energy(9, -1.0),
    "JointRevealing.copies must be at least 1; got 0: tokens of each configuration.": lambda: S.JointRevealing(0),
    "ConceptTyped.weights must be at least 0, not all 0; got (0.0, 0.0): give one a concept.": (
        lambda: S.ConceptTyped((0.0, 0.0))
    ),
    "ConceptTyped.weights must be one for each of 2 concepts; got (1.0,): match the sizes.": (
        lambda: drawn(S.ConceptTyped((1.0,)))
    ),
    "Homonyms.partitions must be at least 1; got 0: 1 merges configurations.": lambda: S.Homonyms(0),
    "Homonyms.block must be at least 1; got 0: configurations of an event.": lambda: S.Homonyms(1, 0),
    "Weak.eta must be in (0, 1); got 1.0: the share that c moves a token by.": lambda: S.Weak(1.0),
    "Weak.tokens must be at least 2; got 1: add tokens.": lambda: S.Weak(0.1, 1),
    "Generic.tokens must be at least 2; got 1: add tokens.": lambda: S.Generic(1),
    "Generic.concentration must be above 0; got 0.0: 1 is uniform.": lambda: S.Generic(4, 0.0),
    "Leak.eps must be in [0, 1]; got 1.5: 0 reveals the configuration.": lambda: S.Leak(1.5),
    "LatentConcepts.contexts must be at least 32, 4 for each number that activations are compared with; got 20: "
    "add contexts.": lambda: S.LatentConcepts(contexts=S.Energy(20), tokens=S.Generic()),
    "ConceptWorld.form must be one for any number of values; got 'softplus' with sizes (3, 2): "
    "use surprisal or prob, or binary concepts.": lambda: S.ConceptWorld(concepts=concepts(sizes=(3, 2))),
    "ConceptWorld.dim must be at least 1; got 0: add dimensions.": lambda: S.ConceptWorld(dim=0),
    "ConceptWorld.concepts.tokens must be ConceptTyped, all weights above 0, for 'exact'; got "
    "Generic(tokens=16, concentration=1.0): nothing else is linear in marginals.": (
        lambda: S.ConceptWorld(concepts=concepts(tokens=S.Generic()), form="exact")
    ),
    "ConceptWorld.dim must be None where form is 'exact'; got 4: prediction sets it.": (
        lambda: S.ConceptWorld(form="exact", dim=4)
    ),
    "ConceptWorld.sample.n must be at least 1; got 0: draw at least one sample.": (
        lambda: S.ConceptWorld().sample(0, S.stream(0, "test"))
    ),
    # interventions
    "Interventions.effect must be rows of one length; got ((1.0,), (1.0, 2.0)): give M row by row.": (
        lambda: Interventions(effect=((1.0,), (1.0, 2.0)))
    ),
    "Interventions.noise must be 2 rows of 2; got ((1.0,),): one for each row of effect.": (
        lambda: Interventions(noise=((1.0,),))
    ),
    "Interventions.quadratic must be symmetric; got ((0.0, 1.0), (2.0, 0.0)): mirror it.": (
        lambda: Interventions(quadratic=((0.0, 1.0), (2.0, 0.0)))
    ),
    "Interventions.linear must be 2 numbers; got (1.0,): give one for each latent.": (
        lambda: Interventions(linear=(1.0,))
    ),
    "Interventions.noise must be a covariance; got an eigenvalue -1: lower its off-diagonal.": (
        lambda: Interventions(noise=((1.0, 2.0), (2.0, 1.0)))
    ),
    "Interventions.d must be at least 2, the number of latents; got 1: g must be injective.": (
        lambda: Interventions(d=1)
    ),
    "Interventions.bend must be in [0, 1]; got 2.0: a share of a^3.": lambda: Interventions(bend=2.0),
    "Interventions.zero must be in [0, 1); got 1.0: a probability.": lambda: Interventions(zero=1.0),
    "Interventions.outcome_sd must be at least 0; got -1.0: give a deviation.": lambda: Interventions(outcome_sd=-1.0),
    "Interventions.draw.n must be at least 1; got 0: draw at least one sample.": (
        lambda: Interventions().draw(0, S.stream(0, "test"))
    ),
    "Interventions.mixing must be 'linear' for directions to exist; got 'leaky': use draw().": (
        lambda: Interventions(mixing="leaky").truth
    ),
    # attention
    "PlantedAttention.d_head must be at least 1; got 0: raise it.": lambda: PlantedAttention(d_head=0),
    "PlantedAttention.patterns must be a divisor of heads=8; got 3: change one of the two.": (
        lambda: PlantedAttention(patterns=3)
    ),
    "PlantedAttention.split must be shares that sum to 1; got (0.5, 0.6): divide by their sum.": (
        lambda: PlantedAttention(split=(0.5, 0.6))
    ),
    "PlantedAttention.split must be for at most 2 heads, those of one pattern; got (0.5, 0.3, 0.2): "
    "lower patterns or add heads.": lambda: PlantedAttention(patterns=4),
    "PlantedAttention.uneven must be in [0, 1); got 1.0: use 0 for equal amplitudes.": (
        lambda: PlantedAttention(uneven=1.0)
    ),
    "PlantedAttention.sources must be in [1, length=8]; got 9: change one of the two.": (
        lambda: PlantedAttention(sources=9)
    ),
    "PlantedAttention.rate must be in (0, 1]; got 0.0: a probability.": lambda: PlantedAttention(rate=0.0),
    "PlantedAttention.mixing must be at least 1, or None for x = z; got 0.5: use 1.0 for a rotation.": (
        lambda: PlantedAttention(mixing=0.5)
    ),
    "PlantedAttention.sample.n must be at least 1; got 0: draw at least one sample.": (
        lambda: PlantedAttention().sample(0, S.stream(0, "test"))
    ),
    "PlantedAttention.attend.n must be at least 1; got 0: draw at least one sequence.": (
        lambda: PlantedAttention().attend(0, S.stream(0, "test"))
    ),
    # the world itself
    "SparseMixture.n_true must be at least 1; got 0: add features.": lambda: world(0),
    "SparseMixture.d must be at least 1; got 0: add dimensions.": lambda: world(d=0),
    "SparseMixture.bias_norm must be at least 0; got -1.0: give a norm.": lambda: world(bias_norm=-1.0),
    "SparseMixture.firing must be an object; got <class 'synthetic.laws.firing.Independent'>: call the class.": (
        lambda: world(firing=S.Independent)
    ),
    "SparseMixture.noise must be an object; got <class 'synthetic.laws.noise.NoNoise'>: call the class.": (
        lambda: world(noise=S.NoNoise)
    ),
    "SparseMixture.magnitudes must be unsigned where children scale by their parent; got Signed: "
    "drop Signed or scale_by_parent.": (
        lambda: world(firing=S.Forest(scale_by_parent=True), magnitudes=S.SharedGain(S.Signed(S.Uniform())))
    ),
}


class Rising:
    """Rates that rise along the features: no profile of the package does."""

    def __init__(self, first, last):
        self.first, self.last = first, last

    def draw(self, n_true, rng):
        return torch.linspace(self.first, self.last, n_true, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _as_users_run():
    """Without run-time type checks, which would refuse some of these settings before our own message."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", before)


@pytest.mark.parametrize("message", REFUSED, ids=lambda message: message.split(" must be ")[0])
def test_a_refusal_says_what_where_and_what_to_do(message):
    with pytest.raises(ValueError, match="^" + re.escape(message).replace("NUMBER", r"0\.\d+") + "$"):
        REFUSED[message]()


def test_every_refusal_of_these_modules_is_in_the_table():
    """Each call of `must` with its constant field and advice has a message above."""
    missing = []
    for name in MODULES:
        source = Path(importlib.import_module(f"synthetic.{name}").__file__).read_text()
        for call in ast.walk(ast.parse(source)):
            if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") == "must"):
                continue
            where, advice = call.args[1], call.args[4].value
            start = f"{where.value} must be" if isinstance(where, ast.Constant) else ""
            if not any(text.startswith(start) and text.endswith(f": {advice}.") for text in REFUSED):
                missing.append(f"{name}.py, line {call.lineno}: {advice}")
    assert not missing


def test_a_closed_covariance_is_not_written_out_for_thousands_of_dependent_features():
    truth = S.SparseMixture(n_true=4097, d=2, firing=S.ExactlyK(1)).truth
    assert truth.covariance is None
    assert truth.open == {"covariance": "more than 4096 features depend on one another"}


def test_numbers_of_numpy_and_lists_are_welcome():
    given = S.SparseMixture(n_true=np.int64(3), d=2, directions=S.Given(np.eye(3)[:, :2].tolist()), seed=np.int32(7))
    assert type(given.n_true) is type(given.seed) is int
    assert given == S.SparseMixture(n_true=3, d=2, directions=S.Given(((1.0, 0.0), (0.0, 1.0), (0.0, 0.0))), seed=7)


def test_whole_numbers_are_welcome_where_a_field_is_a_float():
    """Settings typed by hand: the samples keep their type."""
    mixture = S.SparseMixture(n_true=4, d=4, magnitudes=S.ConstantMagnitude(2), noise=S.Isotropic(sd=1))
    batch = mixture.sample(50, S.stream(0, "x"))
    assert batch.x.dtype == batch.h.values.dtype == torch.float32
    assert sorted(set(batch.h.values.unique().tolist()) | {0.0}) == [0.0, 2.0]


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'synthetic' has no attribute 'Nothing'"):
        _ = S.Nothing
