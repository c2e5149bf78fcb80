"""Shortest paths through a grid of walls and floors."""

import heapq
from collections import deque
from collections.abc import Iterator

Cell = tuple[int, int]

WALL = "#"
START = "S"
GOAL = "G"


class Grid:
    """A rectangular map that is read from lines of text."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.height = len(lines)
        self.width = max(len(line) for line in lines)

    def at(self, cell: Cell) -> str:
        row, column = cell
        if 0 <= row < self.height and 0 <= column < len(self.lines[row]):
            return self.lines[row][column]
        return WALL

    def find(self, wanted: str) -> Cell:
        for row, line in enumerate(self.lines):
            column = line.find(wanted)
            if column >= 0:
                return row, column
        raise ValueError(f"the grid has no {wanted}")

    def neighbours(self, cell: Cell) -> Iterator[Cell]:
        row, column = cell
        for d_row, d_column in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            neighbour = row + d_row, column + d_column
            if self.at(neighbour) != WALL:
                yield neighbour


def breadth_first(grid: Grid, start: Cell, goal: Cell) -> list[Cell] | None:
    queue = deque([start])
    came_from: dict[Cell, Cell | None] = {start: None}
    while queue:
        cell = queue.popleft()
        if cell == goal:
            return walk_back(came_from, goal)
        for neighbour in grid.neighbours(cell):
            if neighbour not in came_from:
                came_from[neighbour] = cell
                queue.append(neighbour)
    return None


def a_star(grid: Grid, start: Cell, goal: Cell) -> list[Cell] | None:
    heap = [(0, start)]
    came_from: dict[Cell, Cell | None] = {start: None}
    cost = {start: 0}
    while heap:
        _, cell = heapq.heappop(heap)
        if cell == goal:
            return walk_back(came_from, goal)
        for neighbour in grid.neighbours(cell):
            new_cost = cost[cell] + 1
            if neighbour not in cost or new_cost < cost[neighbour]:
                cost[neighbour] = new_cost
                came_from[neighbour] = cell
                heapq.heappush(heap, (new_cost + distance(neighbour, goal), neighbour))
    return None


def distance(a: Cell, b: Cell) -> int:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def walk_back(came_from: dict[Cell, Cell | None], goal: Cell) -> list[Cell]:
    path = []
    cell: Cell | None = goal
    while cell is not None:
        path.append(cell)
        cell = came_from[cell]
    path.reverse()
    return path


def draw(grid: Grid, path: list[Cell]) -> str:
    on_path = set(path)
    rows = []
    for row, line in enumerate(grid.lines):
        rows.append("".join("*" if (row, column) in on_path else sign for column, sign in enumerate(line)))
    return "\n".join(rows)


if __name__ == "__main__":
    grid = Grid(["S..#....", ".#.#.##.", ".#...#..", "...#.#.G"])
    start, goal = grid.find(START), grid.find(GOAL)
    for search in (breadth_first, a_star):
        path = search(grid, start, goal)
        print(search.__name__, "no path" if path is None else len(path) - 1)
        if path is not None:
            print(draw(grid, path))
