"""Sums up a CSV of expenses by category and month.

Usage: python expense_report.py expenses.csv [--month 2024-05] [--top 5]
"""

import argparse
import csv
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path


@dataclass(frozen=True)
class Expense:
    day: date
    category: str
    amount: Decimal
    note: str = ""

    @property
    def month(self) -> str:
        return self.day.strftime("%Y-%m")


class ReportError(Exception):
    """A line of the file cannot be used."""


def parse_row(row: dict[str, str], line_number: int) -> Expense:
    try:
        day = datetime.strptime(row["date"], "%Y-%m-%d").date()
        amount = Decimal(row["amount"].replace(",", "."))
    except KeyError as error:
        raise ReportError(f"line {line_number}: column {error} is missing") from error
    except ValueError as error:
        raise ReportError(f"line {line_number}: {row['date']!r} is not a date") from error
    except InvalidOperation as error:
        raise ReportError(f"line {line_number}: {row['amount']!r} is not a number") from error
    category = row.get("category", "").strip().lower() or "other"
    return Expense(day, category, amount, row.get("note", "").strip())


def read_expenses(path: Path) -> list[Expense]:
    expenses = []
    with path.open(newline="", encoding="utf-8") as file:
        for line_number, row in enumerate(csv.DictReader(file), start=2):
            expenses.append(parse_row(row, line_number))
    return expenses


def total_by_category(expenses: list[Expense]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for expense in expenses:
        totals[expense.category] += expense.amount
    return dict(totals)


def total_by_month(expenses: list[Expense]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for expense in expenses:
        totals[expense.month] += expense.amount
    return dict(totals)


def largest(expenses: list[Expense], count: int) -> list[Expense]:
    return sorted(expenses, key=lambda expense: expense.amount, reverse=True)[:count]


def print_totals(title: str, totals: dict[str, Decimal]) -> None:
    print(title)
    width = max(len(name) for name in [*totals, "total"])
    for name, amount in sorted(totals.items()):
        print(f"  {name:<{width}}  {amount:>10.2f}")
    print(f"  {'total':<{width}}  {sum(totals.values()):>10.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Sum up expenses.")
    parser.add_argument("file", type=Path, help="a CSV file with date, category, amount and note")
    parser.add_argument("--month", help="only this month, like 2024-05")
    parser.add_argument("--top", type=int, default=3, help="how many of the largest expenses to show")
    args = parser.parse_args()
    try:
        expenses = read_expenses(args.file)
    except (OSError, ReportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if args.month:
        expenses = [expense for expense in expenses if expense.month == args.month]
    print_totals("By category", total_by_category(expenses))
    print_totals("By month", total_by_month(expenses))
    for expense in largest(expenses, args.top):
        print(f"{expense.day}  {expense.amount:>10.2f}  {expense.category}  {expense.note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
