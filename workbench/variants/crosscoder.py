"""Crosscoder: one code for several views of the same thing, such as layers, or a model before and after tuning."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import RowL1, SquaredError
from workbench.parts.selections import ReLU
from workbench.sae import SAE, Stack, variant
from workbench.settings import Count, NonNegative


@variant("crosscoder")
def crosscoder(stack: Stack, l1: NonNegative = 2.0, views: Count = 2) -> SAE:
    """f = relu((x - b_dec) W_enc + b_enc) of views side by side; f_i costs sum_v |w_i^v|.

    loss = |x - x_hat|^2 + l1 sum_i f_i sum_v |w_i^v|, w_i^v the part of row i in view v. A latent that is of one view
    alone has parts of norm 0 in the others. The L1 price shrinks the weaker part of one that is of several views, which
    may then look exclusive; `batch_topk_crosscoder` does not do that.

    Args:
        stack: what it is made for.
        l1: weight of the price, in units where E|x|^2 = d.
        views: equally wide parts of x; the same for all members. `workbench.side_by_side` makes such a source.

    Source: Lindsey et al. (2024), Sparse Crosscoders.
    """
    price = RowL1(stack, l1, views)
    return stack.sae(Affine(stack, ReLU()), Rows(stack, unit=False), SquaredError(), price)
