"""Which of SAELens's architectures has the inference of an SAE, by the parts that it is made of."""

from workbench.parts.aligned import Aligned
from workbench.parts.base import Decoder, Encoder
from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine, Gated
from workbench.parts.group_selections import FeatureChoice
from workbench.parts.pursuit_encoders import Pursuit
from workbench.parts.selections import AbsTopK, BatchTopK, Jump, ReLU, Selection, TopK
from workbench.sae import SAE

_BY_PARTS: dict[tuple[type[Encoder], type[Selection] | None, type[Decoder]], str] = {
    (Affine, ReLU, Rows): "standard",
    (Affine, TopK, Rows): "topk",
    (Affine, AbsTopK, Rows): "abstopk",
    (Affine, BatchTopK, Rows): "jumprelu",
    (Affine, Jump, Rows): "jumprelu",
    (Affine, FeatureChoice, Rows): "jumprelu",
    (Aligned, TopK, Rows): "topk",
    (Gated, None, Rows): "gated",
    (Pursuit, None, Rows): "matching_pursuit",
}


def architecture_of(sae: SAE) -> str | None:
    """The architecture; None where there is none."""
    encoder = sae.encoder
    if isinstance(encoder, Pursuit) and encoder.select != "relu":  # SAELens knows the authors' rule alone
        return None
    selection = type(encoder.selection) if isinstance(encoder, Affine) else None
    return _BY_PARTS.get((type(encoder), selection, type(sae.decoder)))
