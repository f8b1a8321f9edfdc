"""AFA (approximate feature activation): |f| from |x| alone, and what norms say of a dictionary's coherence.

Notation: x2 = |x|², f2 = |f|² for latents along unit rows, l1 = sum |f_i|, c = eps (n - 1). See `coherence.py`.

Source: Lee, Davies, Canby, Hockenmaier (2025), arXiv 2503.24277, where marked; the rest is ours.
"""

from workbench.theory.coherence import l1_gap
from workbench.theory.ops import FLOAT, Number, Ops


def afa_floor(x2: Number, c: Number) -> Number:
    """Least |h|²: |x|² / (1 + c). Source: Lee et al. (2025), lower side of the AFA theorem."""
    return x2 / (1 + c)


def afa_ceiling(x2: Number, c: Number) -> Number:
    """Largest |h|²: |x|² / (1 - c), for c < 1. Source: Lee et al. (2025), upper side of the AFA theorem.

    Fails when: c >= 1, which holds for every dictionary of more unit rows than dimensions (claim AFA-5).
    """
    return x2 / (1 - c)


def zf_slopes(c: Number, *, ops: Ops = FLOAT) -> tuple[Number, Number]:
    """Slopes |h| / |x| of the ZF plot's band: 1 / sqrt(1 + c) and 1 / sqrt(1 - c), for c < 1.

    Source: Lee et al. (2025), figure of |f| against |x|.
    """
    return 1 / ops.sqrt(1 + c), 1 / ops.sqrt(1 - c)


def norm_error(c: Number, *, ops: Ops = FLOAT) -> Number:
    """Largest ||h| - |x|| / |x|: 1 / sqrt(1 - c) - 1, for c < 1. Source: ours, the upper side is the wider one."""
    return zf_slopes(c, ops=ops)[1] - 1


def norm_mismatch(x2: Number, f2: Number, *, ops: Ops = FLOAT) -> Number:
    """r = ||x|² / |f|² - 1|; infinite for f = 0. Source: ours, the paper's figure without its factor of the width."""
    return ops.abs(ops.ratio(x2, f2) - 1)


def log_mismatch(x2: Number, f2: Number, *, ops: Ops = FLOAT) -> Number:
    """|ln(|f| / |x|)|: the only one of these that treats over- and under-activation alike. Source: ours."""
    return ops.abs(ops.log(f2 / x2)) / 2


def lbo_dense(x2: Number, f2: Number, m: Number, *, ops: Ops = FLOAT) -> Number:
    """Lower bound on eps from the width: r / (m - 1). Source: Lee et al. (2025), eps_LBO.

    True and weak: dead rows added to the dictionary shrink it at will.
    """
    return norm_mismatch(x2, f2, ops=ops) / (m - 1)


def lbo_k(x2: Number, f2: Number, k: Number, *, ops: Ops = FLOAT) -> Number:
    """Lower bound on the support's coherence from the count of active latents, k >= 2: r / (k - 1). Source: ours."""
    return norm_mismatch(x2, f2, ops=ops) / (k - 1)


def lbo_1(x2: Number, f2: Number, l1: Number, *, ops: Ops = FLOAT) -> Number:
    """Lower bound on the support's coherence from both norms, k >= 2: ||x|² - |f|²| / (l1² - |f|²).

    The best one from norms alone: on a cone it equals mu for every f >= 0. Source: ours.
    """
    return ops.abs(x2 - f2) / (l1 * l1 - f2)


def mismatch(interference: Number, residual: Number, shrinkage: Number) -> Number:
    """|x|² - |f|² = interference + |rho|² + 2 <x_hat, rho>, with x = x_hat + rho and the bias as one more row.

    Args:
        interference: |x_hat|² - |f|².
        residual: |rho|².
        shrinkage: 2 <x_hat, rho>; positive where the reconstruction is too short.

    Source: ours, expand |x_hat + rho|².
    """
    return interference + residual + shrinkage


def residual_gap(l1: Number, f2: Number, coherence: Number, x2: Number, x_hat2: Number, *, ops: Ops = FLOAT) -> Number:
    """Bound on ||x|² - |f|²| when f only reconstructs x_hat: mu (l1² - |f|²) + ||x|² - |x_hat|²|. Source: ours."""
    return l1_gap(l1, f2, coherence) + ops.abs(x2 - x_hat2)
