"""Reads a web server's access log and prints the busiest paths, slowest answers and error rates.

Host names are looked up through a small least-recently-used cache.
"""

import re
import socket
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

LINE = re.compile(
    r'(?P<host>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "(?P<method>[A-Z]+) (?P<path>\S+)[^"]*" '
    r"(?P<status>\d{3}) (?P<size>\d+|-)(?: (?P<seconds>[\d.]+))?"
)


class LRUCache:
    """Keeps the results of the last `capacity` different calls."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self.capacity = capacity
        self.hits = 0
        self.misses = 0
        self._items: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: str, compute: Callable[[str], str]) -> str:
        if key in self._items:
            self.hits += 1
            self._items.move_to_end(key)
            return self._items[key]
        self.misses += 1
        value = compute(key)
        self._items[key] = value
        if len(self._items) > self.capacity:
            self._items.popitem(last=False)
        return value

    def clear(self) -> None:
        self._items.clear()
        self.hits = 0
        self.misses = 0


class Request(NamedTuple):
    host: str
    method: str
    path: str
    status: int
    size: int
    seconds: float


def parse_line(line: str) -> Request | None:
    match = LINE.match(line)
    if match is None:
        return None
    size = match["size"]
    return Request(
        host=match["host"],
        method=match["method"],
        path=match["path"].split("?")[0],
        status=int(match["status"]),
        size=0 if size == "-" else int(size),
        seconds=float(match["seconds"] or 0),
    )


def parse_lines(lines: Iterable[str]) -> Iterator[Request]:
    for line in lines:
        request = parse_line(line)
        if request is not None:
            yield request


def resolve(address: str) -> str:
    try:
        name, _, _ = socket.gethostbyaddr(address)
    except OSError:
        return address
    return name


def busiest_paths(requests: list[Request], count: int = 10) -> list[tuple[str, int]]:
    return Counter(request.path for request in requests).most_common(count)


def slowest(requests: list[Request], count: int = 10) -> list[Request]:
    return sorted(requests, key=lambda request: request.seconds, reverse=True)[:count]


def error_rate(requests: list[Request]) -> float:
    if not requests:
        return 0.0
    errors = sum(1 for request in requests if request.status >= 500)
    return errors / len(requests)


def main() -> None:
    requests = list(parse_lines(sys.stdin))
    names = LRUCache(capacity=256)
    print(f"{len(requests)} requests, {error_rate(requests):.1%} errors")
    for path, count in busiest_paths(requests):
        print(f"{count:>8}  {path}")
    for request in slowest(requests):
        host = names.get(request.host, resolve)
        print(f"{request.seconds:>8.3f}  {request.method} {request.path}  {host}")


if __name__ == "__main__":
    main()
