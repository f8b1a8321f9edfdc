"""The ledger of claims: theorems drawn, attacked, proved by a machine, or refuted with a witness."""

from proofs_check.auditor.audit import audit as audit
from proofs_check.claim import Check as Check
from proofs_check.claim import Claim as Claim
from proofs_check.claim import Control as Control
from proofs_check.claim import Finding as Finding
from proofs_check.claim import Hypothesis as Hypothesis
from proofs_check.claim import Mutant as Mutant
from proofs_check.claim import Relation as Relation
from proofs_check.claim import Verdict as Verdict
from proofs_check.claim import Void as Void
from proofs_check.claim import at_most as at_most
from proofs_check.claim import equal as equal
from proofs_check.instances.draw import codes as codes
from proofs_check.instances.draw import cones as cones
from proofs_check.instances.draw import mixtures as mixtures
from proofs_check.instances.draw import numbers as numbers
from proofs_check.instances.draw import unit_rows as unit_rows
from proofs_check.instances.inequalities import inequality as inequality
from proofs_check.instances.mixture import EXACT as EXACT
from proofs_check.instances.mixture import NONNEGATIVE as NONNEGATIVE
from proofs_check.instances.mixture import OVERCOMPLETE as OVERCOMPLETE
from proofs_check.instances.mixture import UNIT_ROWS as UNIT_ROWS
from proofs_check.instances.mixture import Mixture as Mixture
from proofs_check.instances.witnesses import orthonormal_with_rest as orthonormal_with_rest
from proofs_check.instances.witnesses import twice_the_identity as twice_the_identity
from proofs_check.ledger import judge as judge
