"""Worlds: activations whose causes are known."""

from synthetic.lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    {
        "synthetic.world": ("Batch", "Codes", "GroundTruth", "World"),
        "synthetic.streams": ("stream",),
        "synthetic.mixture": ("SparseMixture",),
        "synthetic.storage": ("knob", "load_world", "save_world"),
        "synthetic.rates": ("Constant", "Levels", "Linear", "RandomRates", "Scaled", "StretchedZipf", "Zipf"),
        "synthetic.firing": ("ExactlyK", "Exclusive", "Independent"),
        "synthetic.partners": ("Partners",),
        "synthetic.mixed_k": ("MixedK",),
        "synthetic.copula": ("Copula", "LatentCorrelation", "LowRankCopula", "Phi"),
        "synthetic.hierarchy": ("Forest",),
        "synthetic.magnitudes": (
            "ConstantMagnitude",
            "Exponential",
            "FoldedNormal",
            "LogNormal",
            "PerFeature",
            "SharedGain",
            "Signed",
            "Uniform",
        ),
        "synthetic.gaussian_rows": ("GaussianRows",),
        "synthetic.noise": ("Coloured", "Isotropic", "NoNoise"),
        "synthetic.directions": (
            "Antipodal",
            "CommonMean",
            "Cone",
            "Duplicates",
            "Given",
            "Orthonormal",
            "RandomSphere",
            "Simplex",
            "TightFrame",
        ),
        "synthetic.low_coherence": ("LowCoherence", "Orthogonalised"),
        "synthetic.presets": ("preset", "presets"),
        "synthetic.standardised": ("Standardised",),
        "synthetic.unit_norm": ("UnitNorm",),
        "synthetic.assumptions": ("Conditions", "conditions"),
        "synthetic.bias_worlds": ("bias_worlds",),
    },
)
