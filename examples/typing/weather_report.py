"""Reads hourly measurements from a CSV file and writes a daily summary."""

import csv
import logging
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

logger = logging.getLogger(__name__)

COLUMNS = ["day", "lowest", "highest", "mean", "rain"]


class Measurement(NamedTuple):
    day: str
    hour: int
    temperature: float
    rain: float


class Summary(NamedTuple):
    day: str
    lowest: float
    highest: float
    mean: float
    rain: float


def read_measurements(path: Path) -> list[Measurement]:
    """Read all rows that can be parsed; the others are logged and skipped."""
    measurements = []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        for number, row in enumerate(reader, start=2):
            try:
                measurements.append(parse_row(row))
            except (KeyError, ValueError) as error:
                logger.warning("line %d is skipped: %s", number, error)
    return measurements


def parse_row(row: dict[str, str]) -> Measurement:
    return Measurement(
        day=row["day"],
        hour=int(row["hour"]),
        temperature=float(row["temperature"]),
        rain=float(row["rain"] or 0),
    )


def group_by_day(measurements: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    days = defaultdict(list)
    for measurement in measurements:
        days[measurement.day].append(measurement)
    return dict(days)


def summarize(day: str, measurements: list[Measurement]) -> Summary:
    temperatures = [measurement.temperature for measurement in measurements]
    return Summary(
        day=day,
        lowest=min(temperatures),
        highest=max(temperatures),
        mean=statistics.fmean(temperatures),
        rain=sum(measurement.rain for measurement in measurements),
    )


def write_summaries(path: Path, summaries: list[Summary]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for summary in summaries:
            writer.writerow([summary.day, summary.lowest, summary.highest, round(summary.mean, 1), summary.rain])


def hottest(summaries: list[Summary]) -> Summary:
    return max(summaries, key=lambda summary: summary.highest)


def wettest(summaries: list[Summary]) -> Summary:
    return max(summaries, key=lambda summary: summary.rain)


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    measurements = read_measurements(Path("measurements.csv"))
    by_day = group_by_day(measurements)
    summaries = [summarize(day, rows) for day, rows in sorted(by_day.items())]
    write_summaries(Path("summary.csv"), summaries)
    logger.info("%d days from %d measurements", len(summaries), len(measurements))
    if summaries:
        print(f"hottest day: {hottest(summaries).day}")
        print(f"wettest day: {wettest(summaries).day}")


if __name__ == "__main__":
    main()
