"""Summarises a CSV file of sales: the total and the mean of each region."""

import csv
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of the file, by the names in its first line."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def amounts_by_region(rows: Iterable[dict[str, str]]) -> dict[str, list[float]]:
    """The amounts of each region."""
    amounts: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        amounts[row["region"]].append(float(row["amount"]))
    return amounts


def mean(values: list[float]) -> float:
    """The mean of the values, 0 if there are none."""
    if not values:
        return 0.0
    return sum(values) / len(values)


def main(path: Path) -> None:
    """Print a line for each region."""
    amounts = amounts_by_region(read_rows(path))
    for region, values in sorted(amounts.items()):
        print(f"{region:<12} {sum(values):>12.2f} {mean(values):>10.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
