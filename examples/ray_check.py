#!/usr/bin/env python3
"""Check training data on a Ray cluster: the same function as everywhere, run by ``map_batches``.

    ray_check.py MODEL TRAIN...

Without a cluster, Ray runs on this machine. It needs: pip install template-fix 'ray[data]'
"""

from __future__ import annotations

import sys

import ray

from template_fix import row_check


def main(model: str, *train: str) -> None:
    ray.init(ignore_reinit_error=True)
    checked = ray.data.read_json(list(train), lines=True).map_batches(row_check(model), batch_size=1000)
    lost = checked.filter(lambda row: row["reasoning_lost"] > 0 or row["answer_lost"] > 0)
    print(f"{lost.count()} of {checked.count()} rows lose reasoning or answers")


if __name__ == "__main__":
    main(*sys.argv[1:])
