"""What a hypothesis reads of an instance is seen: its switches, and not what its properties read in turn."""

from dataclasses import dataclass, replace

from tests.claims.reading import values_read


@dataclass(frozen=True)
class Law:
    size: float
    normal: bool = True

    @property
    def excess(self) -> float:
        return 0.0 if self.normal else self.size


def test_a_switch_is_seen_and_what_is_measured_too():
    assert values_read(lambda case: float(not case.normal), Law(2.0)) == {"normal": True}
    assert values_read(lambda case: case.excess, Law(2.0, normal=False)) == {"excess": 2.0}
    assert values_read(lambda case: case.size * case.normal, Law(2.0)) == {"size": 2.0, "normal": True}


def test_a_question_of_class_reads_nothing():
    assert values_read(lambda case: float(not isinstance(case, Law)), Law(2.0)) == {}


def test_a_copy_with_changes_can_be_made():
    assert values_read(lambda case: replace(case, normal=False).excess, Law(2.0))["excess"] == 2.0
