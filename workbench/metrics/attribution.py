"""Which heads a latent of an attention-output SAE reads and writes: decoder shares, direct feature attribution (DFA).

The SAE sees z, the concatenation over H heads of z_h = sum_s A_h(t, s) v_h(s), before W_O (TransformerLens: `hook_z`,
flattened). Everything here holds the attention patterns fixed.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.errors import must
from workbench.ratios import ratio


def head_share(W_dec: Float[Tensor, "*s m d"], heads: int) -> Float[Tensor, "*s m heads"]:
    """Decoder weight attribution: norm of a row's block over the sum of the norms of its blocks, in [0, 1].

    Shares of a latent sum to 1 and do not depend on its scale, nor on rotations within a head. A row of zeros has 0s.

    Args:
        W_dec: decoder rows.
        heads: H; block h is the columns h d / H to (h + 1) d / H.

    Source: Kissane et al. (2024), arXiv 2406.17759, their weight-based head attribution. Checked by: ATTN-3.
    """
    norms = W_dec.unflatten(-1, (heads, _width(W_dec.shape[-1], heads))).norm(dim=-1)
    return ratio(norms, norms.sum(-1, keepdim=True), 0.0)


def top_features(share: Float[Tensor, "*s m heads"], head: int, count: int = 10) -> Int[Tensor, "*s count"]:
    """The latents with the largest shares for a head, largest first; of equals the one of the lower number.

    Source: Kissane et al. (2024), who read ten a head.
    """
    must(0 <= head < share.shape[-1], "top_features.head", f"in [0, {share.shape[-1]})", head, "count heads from 0")
    must(1 <= count <= share.shape[-2], "top_features.count", f"in [1, m={share.shape[-2]}]", count, "ask for fewer")
    return share[..., head].argsort(dim=-1, descending=True, stable=True)[..., :count]


def has_one_role(share: Float[Tensor, "m heads"], roles: Int[Tensor, " m"], count: int = 10) -> Bool[Tensor, " heads"]:
    """Whether a head's top latents are all of one role: what makes it a candidate for a monosemantic head.

    Args:
        share: what `head_share` returned.
        roles: a number for the role of each latent.
        count: latents read a head.

    Source: Kissane et al. (2024), who judge roles by hand. Checked by: ATTN-5.
    """
    order = share.argsort(dim=0, descending=True, stable=True)[:count]
    return (roles[order] == roles[order[:1]]).all(0)


def by_head(
    z: Float[Tensor, "*b n d"], W_enc: Float[Tensor, "*s d m"], heads: int, scale: float | Tensor = 1.0
) -> Float[Tensor, "*r n heads m"]:
    """What each head adds to each pre-activation: DFA_h = scale z_h W_enc[block h]; with `constant` they sum to it.

    Args:
        z: concatenated heads, raw; for one SAE any leading axes, for a stack (n, d) or (*s, n, d).
        W_enc: encoder columns; choose some, W_enc[..., latents], where all would not fit into memory.
        heads: H.
        scale: the SAE's `scale`, which multiplies raw inputs; the result is in the SAE's own units.

    Source: Kissane et al. (2024), equation of DFA. Checked by: ATTN-1 (completeness), ATTN-2 (ablation).
    """
    parts = (z * scale).unflatten(-1, (heads, _width(z.shape[-1], heads))).transpose(-2, -3)
    return (parts @ _blocks(W_enc, heads)).transpose(-2, -3)


def by_source(
    patterns: Float[Tensor, "*b heads q t"],
    values: Float[Tensor, "*b heads t d_head"],
    W_enc: Float[Tensor, "d m"],
    scale: float | Tensor = 1.0,
) -> Float[Tensor, "*b heads q t m"]:
    """What each source position adds through each head: DFA_{h,s} = scale A_h(t, s) v_h(s) W_enc[block h].

    Sums over sources are `by_head` at these destinations. Its size is that of the patterns times m: choose columns and
    destinations.

    Args:
        patterns: A_h(destination, source), any destinations.
        values: v_h(source); where heads share them (grouped-query attention), repeat them first.
        W_enc: encoder columns of one SAE, (H d_head, m), all or chosen.
        scale: as in `by_head`.

    Source: Kissane et al. (2024), DFA by source position. Checked by: ATTN-1.
    """
    heads, d_head = values.shape[-3], values.shape[-1]
    must(patterns.shape[-3] == heads, "by_source.values", f"of {patterns.shape[-3]} heads, as patterns", heads,
         "repeat shared key-value heads")  # fmt: skip
    must(W_enc.shape[0] == heads * d_head, "by_source.W_enc", f"of {heads * d_head} rows", W_enc.shape[0],
         "pass the encoder of concatenated heads")  # fmt: skip
    carried = (values * scale) @ _blocks(W_enc, heads)
    return patterns[..., None] * carried[..., None, :, :]


def constant(
    W_enc: Float[Tensor, "*s d m"], b_enc: Float[Tensor, "*s m"], b_dec: Float[Tensor, "*s d"]
) -> Float[Tensor, "*s m"]:
    """What no head adds to pre = (scale x - b_dec) W_enc + b_enc: b_enc - b_dec W_enc, in the SAE's own units.

    Variants without b_enc (gated, tied, semi-NMF) have zeros there. Source: ours, expand. Checked by: ATTN-1.
    """
    return b_enc - (b_dec[..., None, :] @ W_enc).squeeze(-2)


def _width(d: int, heads: int) -> int:
    must(heads >= 1 and d % heads == 0, "attribution.heads", f"a divisor of d={d}", heads, "give the number of heads")
    return d // heads


def _blocks(W_enc: Tensor, heads: int) -> Float[Tensor, "*s heads d_head m"]:
    return W_enc.unflatten(-2, (heads, _width(W_enc.shape[-2], heads)))
