"""Keeps track of who has borrowed which book, in a JSON file."""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

LOAN_DAYS = 21
FINE_PER_DAY = 0.25


@dataclass
class Loan:
    """One copy of a book in somebody's hands."""

    title: str
    reader: str
    due: str

    def days_late(self, today: date) -> int:
        return max(0, (today - date.fromisoformat(self.due)).days)

    def fine(self, today: date) -> float:
        return self.days_late(today) * FINE_PER_DAY


class Library:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.loans: list[Loan] = []

    def load(self) -> None:
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as file:
            self.loans = [Loan(**row) for row in json.load(file)]

    def save(self) -> None:
        with self.path.open("w", encoding="utf-8") as file:
            json.dump([asdict(loan) for loan in self.loans], file, indent=2)

    def lend(self, title: str, reader: str) -> Loan:
        if any(loan.title == title for loan in self.loans):
            raise ValueError(f"{title} is already on loan")
        due = date.today() + timedelta(days=LOAN_DAYS)
        loan = Loan(title, reader, due.isoformat())
        self.loans.append(loan)
        return loan

    def give_back(self, title: str) -> Loan:
        for loan in self.loans:
            if loan.title == title:
                self.loans.remove(loan)
                return loan
        raise ValueError(f"{title} is not on loan")

    def late(self, today: date) -> list[Loan]:
        return [loan for loan in self.loans if loan.days_late(today) > 0]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, default=Path("loans.json"))
    commands = parser.add_subparsers(dest="command", required=True)
    lend = commands.add_parser("lend", help="hand out a book")
    lend.add_argument("title")
    lend.add_argument("reader")
    back = commands.add_parser("return", help="take a book back")
    back.add_argument("title")
    commands.add_parser("late", help="list loans that are overdue")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    library = Library(arguments.file)
    library.load()
    today = date.today()
    try:
        if arguments.command == "lend":
            loan = library.lend(arguments.title, arguments.reader)
            print(f"{loan.title} is due on {loan.due}")
        elif arguments.command == "return":
            loan = library.give_back(arguments.title)
            print(f"fine: {loan.fine(today):.2f}")
        else:
            for loan in library.late(today):
                print(f"{loan.reader}: {loan.title}, {loan.days_late(today)} days")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    library.save()
    return 0


if __name__ == "__main__":
    sys.exit(main())
