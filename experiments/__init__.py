"""Experiments: each a question, a run folder, a table, figures."""

MODULES = {
    "afa_bounds": "experiments.afa.bounds",
    "attention": "experiments.attention.study",
    "benchmark": "experiments.benchmark",
    "bias_phase": "experiments.bias.phase",
    "bidirectional": "experiments.signed.study",
    "concept_sae": "experiments.concepts.saes",
    "concepts": "experiments.concepts.study",
    "factors": "experiments.factors.study",
    "gba": "experiments.bias.gba",
    "gpt2": "experiments.gpt2",
    "hierarchy": "experiments.hierarchy.study",
    "interactions": "experiments.interactions.study",
    "interventions": "experiments.actions.study",
    "pursuit": "experiments.pursuit.study",
    "recovery": "experiments.recovery",
    "resonance": "experiments.bias.resonance",
    "synthsaebench": "experiments.synthsaebench",
    "top_afa": "experiments.afa.top_afa",
    "top_afa_rule": "experiments.afa.rule",
    "transfer": "experiments.transfer.study",
    "zf_plot": "experiments.afa.norms",
}
"""name of an experiment -> its module"""
