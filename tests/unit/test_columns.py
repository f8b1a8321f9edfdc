"""Tables of studies that the runner does not write yet, in the fixed columns."""

import polars as pl

from experiments.columns import SCHEMA, tidied


def test_columns_are_renamed_filled_and_chance_is_a_kind():
    frame = pl.DataFrame(
        {
            "part": ["a", "a"],
            "l1": [0.5, 0.5],
            "metric": ["mcc", "mcc_null"],
            "seed": [3, -1],
            "value": [1.0, 0.5],
            "own": [7, 8],
        }
    )
    table = tidied(frame, {"place": "part", "setting": "l1"}, study="mine", d=32)
    assert table.columns == [*SCHEMA, "own"]
    assert dict(table.schema)["m"] == pl.Int64
    wanted = ["study", "place", "setting", "seed", "d", "m", "metric", "kind", "value", "own"]
    assert table.select(wanted).rows() == [
        ("mine", "a", "0.5", 3, 32, None, "mcc", "score", 1.0, 7),
        ("mine", "a", "0.5", None, 32, None, "mcc", "null", 0.5, 8),
    ]
