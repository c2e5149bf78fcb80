"""Small problems from which `derive.py` makes tasks in the formats of infilling benchmarks.

Each problem is one function or class with a docstring, needs nothing from outside itself, and is followed by the
asserts that test it. This file runs them all. They were written for this repository, so no model has been trained on
them that was trained before; whoever trains on this repository should leave them out.
"""


def running_totals(numbers: list[int]) -> list[int]:
    """Return the sums of the first 1, 2, 3, … numbers."""
    totals = []
    total = 0
    for number in numbers:
        total += number
        totals.append(total)
    return totals


assert running_totals([]) == []
assert running_totals([5]) == [5]
assert running_totals([1, 2, -4, 10]) == [1, 3, -1, 9]


def longest_word(sentence: str) -> str:
    """Return the longest word of a sentence, the first of them if several are equally long."""
    longest = ""
    for word in sentence.split():
        if len(word) > len(longest):
            longest = word
    return longest


assert longest_word("") == ""
assert longest_word("we met again yesterday") == "yesterday"
assert longest_word("red tan") == "red"


def is_leap_year(year: int) -> bool:
    """Tell whether a year of the Gregorian calendar has a 29th of February."""
    if year % 400 == 0:
        return True
    if year % 100 == 0:
        return False
    return year % 4 == 0


assert is_leap_year(2024) is True
assert is_leap_year(2000) is True
assert is_leap_year(1900) is False
assert is_leap_year(2023) is False


def caesar(text: str, shift: int) -> str:
    """Move every lower-case letter of text by shift places in the alphabet, and leave the rest alone."""
    moved = []
    for character in text:
        if "a" <= character <= "z":
            place = (ord(character) - ord("a") + shift) % 26
            moved.append(chr(ord("a") + place))
        else:
            moved.append(character)
    return "".join(moved)


assert caesar("abc", 1) == "bcd"
assert caesar("xyz!", 3) == "abc!"
assert caesar("Hi no", -1) == "Hh mn"


def count_letters(text: str) -> dict[str, int]:
    """Count how often each letter occurs, upper and lower case taken together."""
    counts: dict[str, int] = {}
    for character in text.lower():
        if character.isalpha():
            counts[character] = counts.get(character, 0) + 1
    return counts


assert count_letters("") == {}
assert count_letters("Abba 7") == {"a": 2, "b": 2}
assert count_letters("x-X-x") == {"x": 3}


def transpose(rows: list[list[int]]) -> list[list[int]]:
    """Turn the rows of a matrix into its columns."""
    if not rows:
        return []
    n_columns = len(rows[0])
    return [[row[i] for row in rows] for i in range(n_columns)]


assert transpose([]) == []
assert transpose([[1, 2, 3]]) == [[1], [2], [3]]
assert transpose([[1, 2], [3, 4], [5, 6]]) == [[1, 3, 5], [2, 4, 6]]


def parse_duration(text: str) -> int:
    """Return the seconds that a duration such as "1h20m5s" stands for."""
    units = {"h": 3600, "m": 60, "s": 1}
    seconds = 0
    digits = ""
    for character in text:
        if character.isdigit():
            digits += character
        else:
            seconds += int(digits) * units[character]
            digits = ""
    return seconds


assert parse_duration("") == 0
assert parse_duration("45s") == 45
assert parse_duration("1h20m5s") == 4805


def merge_sorted(left: list[int], right: list[int]) -> list[int]:
    """Merge two ascending lists into one."""
    merged = []
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]


assert merge_sorted([], [3]) == [3]
assert merge_sorted([1, 4, 9], [2, 4, 5]) == [1, 2, 4, 4, 5, 9]
assert merge_sorted([7, 8], [1]) == [1, 7, 8]


def collatz_steps(number: int) -> int:
    """Count the steps of the Collatz sequence from number down to 1."""
    steps = 0
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps


assert collatz_steps(1) == 0
assert collatz_steps(8) == 3
assert collatz_steps(7) == 16


def invert_mapping(mapping: dict[str, int]) -> dict[int, list[str]]:
    """Map each value to the sorted list of the keys that have it."""
    inverted: dict[int, list[str]] = {}
    for key in sorted(mapping):
        inverted.setdefault(mapping[key], []).append(key)
    return inverted


assert invert_mapping({}) == {}
assert invert_mapping({"pear": 2, "fig": 1, "apple": 2}) == {2: ["apple", "pear"], 1: ["fig"]}


def is_balanced(text: str) -> bool:
    """Tell whether every bracket in text is closed by its own kind, in the right order."""
    closers = {")": "(", "]": "[", "}": "{"}
    stack = []
    for character in text:
        if character in closers.values():
            stack.append(character)
        elif character in closers and (not stack or stack.pop() != closers[character]):
            return False
    return not stack


assert is_balanced("") is True
assert is_balanced("f(a[1], {2: 3})") is True
assert is_balanced("(]") is False
assert is_balanced("((") is False


def digits_of(number: int, base: int) -> list[int]:
    """Return the digits of a number that is not negative, in a base, the most significant first."""
    if number == 0:
        return [0]
    digits = []
    while number:
        number, digit = divmod(number, base)
        digits.append(digit)
    return digits[::-1]


assert digits_of(0, 10) == [0]
assert digits_of(13, 2) == [1, 1, 0, 1]
assert digits_of(255, 16) == [15, 15]


def run_lengths(text: str) -> list[tuple[str, int]]:
    """Return each run of equal characters as the character and the length of the run."""
    runs: list[tuple[str, int]] = []
    for character in text:
        if runs and runs[-1][0] == character:
            runs[-1] = (character, runs[-1][1] + 1)
        else:
            runs.append((character, 1))
    return runs


assert run_lengths("") == []
assert run_lengths("aab") == [("a", 2), ("b", 1)]
assert run_lengths("zzzaz") == [("z", 3), ("a", 1), ("z", 1)]


def second_largest(numbers: list[int]) -> int | None:
    """Return the second largest of the different numbers, or None where there are fewer than two."""
    different = sorted(set(numbers))
    if len(different) < 2:
        return None
    return different[-2]


assert second_largest([]) is None
assert second_largest([4, 4]) is None
assert second_largest([3, 9, 9, 5]) == 5


def title_case(name: str) -> str:
    """Turn a snake_case name into words that begin with capitals."""
    words = [word for word in name.split("_") if word]
    return " ".join(word[0].upper() + word[1:] for word in words)


assert title_case("") == ""
assert title_case("max_file_size") == "Max File Size"
assert title_case("__private_name") == "Private Name"


def binary_search(numbers: list[int], wanted: int) -> int:
    """Return the index of wanted in an ascending list, or -1."""
    low, high = 0, len(numbers) - 1
    while low <= high:
        middle = (low + high) // 2
        if numbers[middle] == wanted:
            return middle
        if numbers[middle] < wanted:
            low = middle + 1
        else:
            high = middle - 1
    return -1


assert binary_search([], 1) == -1
assert binary_search([2, 3, 5, 7, 11], 7) == 3
assert binary_search([2, 3, 5, 7, 11], 4) == -1


def common_prefix(words: list[str]) -> str:
    """Return the longest beginning that all words share."""
    if not words:
        return ""
    shortest = min(words, key=len)
    for i, character in enumerate(shortest):
        if any(word[i] != character for word in words):
            return shortest[:i]
    return shortest


assert common_prefix([]) == ""
assert common_prefix(["interval", "internal", "into"]) == "int"
assert common_prefix(["same", "same"]) == "same"


def celsius_table(start: int, end: int, step: int) -> list[tuple[int, float]]:
    """Return pairs of degrees Fahrenheit from start up to and with end, and degrees Celsius with one decimal."""
    table = []
    for fahrenheit in range(start, end + 1, step):
        celsius = (fahrenheit - 32) * 5 / 9
        table.append((fahrenheit, round(celsius, 1)))
    return table


assert celsius_table(32, 32, 10) == [(32, 0.0)]
assert celsius_table(50, 70, 20) == [(50, 10.0), (70, 21.1)]


def flatten(items: list) -> list:
    """Return the elements of nested lists in one list."""
    flat = []
    for item in items:
        if isinstance(item, list):
            flat.extend(flatten(item))
        else:
            flat.append(item)
    return flat


assert flatten([]) == []
assert flatten([1, [2, [3, []], 4]]) == [1, 2, 3, 4]
assert flatten([["a"], "b"]) == ["a", "b"]


def parse_query(query: str) -> dict[str, str]:
    """Return the names and values of a query such as "page=2&sort=name"; a name without "=" has an empty value."""
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name:
            found[name] = value
    return found


assert parse_query("") == {}
assert parse_query("page=2&sort=name") == {"page": "2", "sort": "name"}
assert parse_query("debug&x=a=b") == {"debug": "", "x": "a=b"}


def prime_factors(number: int) -> list[int]:
    """Return the prime factors of a number from 2 on, ascending, as often as they divide it."""
    factors = []
    divisor = 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
        divisor += 1
    if number > 1:
        factors.append(number)
    return factors


assert prime_factors(2) == [2]
assert prime_factors(60) == [2, 2, 3, 5]
assert prime_factors(97) == [97]


def chunks(items: list[int], size: int) -> list[list[int]]:
    """Cut a list into pieces of a size; the last one may be shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


assert chunks([], 3) == []
assert chunks([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
assert chunks([1, 2], 5) == [[1, 2]]


def word_index(lines: list[str]) -> dict[str, list[int]]:
    """Map each word, in lower case, to the numbers of the lines that hold it, counted from 1."""
    index: dict[str, list[int]] = {}
    for number, line in enumerate(lines, start=1):
        for word in sorted(set(line.lower().split())):
            index.setdefault(word, []).append(number)
    return index


assert word_index([]) == {}
assert word_index(["one two", "Two three two"]) == {"one": [1], "two": [1, 2], "three": [2]}


def gcd_of_all(numbers: list[int]) -> int:
    """Return the greatest number that divides all numbers; 0 for none."""
    found = 0
    for number in numbers:
        while number:
            found, number = number, found % number
    return found


assert gcd_of_all([]) == 0
assert gcd_of_all([12, 18]) == 6
assert gcd_of_all([35, 14, 21]) == 7


def strip_comment(line: str) -> str:
    """Drop what follows the first "#" outside of double quotes, and blanks at the end."""
    in_quotes = False
    for i, character in enumerate(line):
        if character == '"':
            in_quotes = not in_quotes
        elif character == "#" and not in_quotes:
            return line[:i].rstrip()
    return line.rstrip()


assert strip_comment("x = 1  # one") == "x = 1"
assert strip_comment('say "#1" # really') == 'say "#1"'
assert strip_comment("# all") == ""


def rotate(items: list[str], steps: int) -> list[str]:
    """Move the last steps items to the front."""
    if not items:
        return []
    steps %= len(items)
    return items[len(items) - steps :] + items[: len(items) - steps]


assert rotate([], 3) == []
assert rotate(["a", "b", "c"], 1) == ["c", "a", "b"]
assert rotate(["a", "b", "c"], 5) == ["b", "c", "a"]


def group_by_length(words: list[str]) -> dict[int, list[str]]:
    """Group words by their length, in their order."""
    groups: dict[int, list[str]] = {}
    for word in words:
        groups.setdefault(len(word), []).append(word)
    return groups


assert group_by_length([]) == {}
assert group_by_length(["to", "be", "not"]) == {2: ["to", "be"], 3: ["not"]}


def hamming_distance(one: str, other: str) -> int:
    """Count the places at which two texts of equal length differ."""
    if len(one) != len(other):
        raise ValueError("the texts must be equally long")
    return sum(a != b for a, b in zip(one, other, strict=True))


assert hamming_distance("", "") == 0
assert hamming_distance("karma", "karts") == 2
assert hamming_distance("abc", "xyz") == 3


def change_coins(amount: int, coins: list[int]) -> list[int]:
    """Pay an amount with the largest coins first, and return the coins."""
    paid = []
    for coin in sorted(coins, reverse=True):
        while amount >= coin:
            paid.append(coin)
            amount -= coin
    return paid


assert change_coins(0, [1, 2]) == []
assert change_coins(8, [1, 2, 5]) == [5, 2, 1]
assert change_coins(30, [10, 25, 1]) == [25, 1, 1, 1, 1, 1]


def moving_average(numbers: list[float], size: int) -> list[float]:
    """Return the mean of every size neighbouring numbers."""
    means = []
    for end in range(size, len(numbers) + 1):
        window = numbers[end - size : end]
        means.append(sum(window) / size)
    return means


assert moving_average([1.0, 2.0], 3) == []
assert moving_average([1.0, 3.0, 5.0], 2) == [2.0, 4.0]
assert moving_average([4.0, 8.0, 6.0, 2.0], 4) == [5.0]


def is_anagram(one: str, other: str) -> bool:
    """Tell whether two texts have the same letters, spaces and case aside."""
    letters = [sorted(text.replace(" ", "").lower()) for text in (one, other)]
    return letters[0] == letters[1]


assert is_anagram("listen", "Silent") is True
assert is_anagram("a gentleman", "elegant man") is True
assert is_anagram("aab", "abb") is False


def parse_version(text: str) -> tuple[int, ...]:
    """Turn a version such as "v1.12.3-beta" into numbers that can be compared."""
    numbers = text.removeprefix("v").split("-")[0]
    return tuple(int(part) for part in numbers.split("."))


assert parse_version("2.0") == (2, 0)
assert parse_version("v1.12.3-beta") == (1, 12, 3)


def matrix_product(left: list[list[int]], right: list[list[int]]) -> list[list[int]]:
    """Multiply two matrices, given as lists of rows."""
    product = []
    for row in left:
        products = []
        for j in range(len(right[0])):
            products.append(sum(row[k] * right[k][j] for k in range(len(right))))
        product.append(products)
    return product


assert matrix_product([[2]], [[3]]) == [[6]]
assert matrix_product([[1, 2], [3, 4]], [[0, 1], [1, 0]]) == [[2, 1], [4, 3]]


def remove_duplicates(items: list[int]) -> list[int]:
    """Keep the first of equal items, in their order."""
    seen = set()
    kept = []
    for item in items:
        if item not in seen:
            seen.add(item)
            kept.append(item)
    return kept


assert remove_duplicates([]) == []
assert remove_duplicates([3, 1, 3, 2, 1]) == [3, 1, 2]


def roman(number: int) -> str:
    """Write a number from 1 to 3999 in Roman numerals."""
    values = [1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1]
    names = ["M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"]
    written = ""
    for value, name in zip(values, names, strict=True):
        while number >= value:
            written += name
            number -= value
    return written


assert roman(3) == "III"
assert roman(1994) == "MCMXCIV"
assert roman(49) == "XLIX"


def nearest_point(points: list[tuple[int, int]], x: int, y: int) -> tuple[int, int]:
    """Return the point that is nearest to (x, y)."""

    def distance(point: tuple[int, int]) -> int:
        return (point[0] - x) ** 2 + (point[1] - y) ** 2

    return min(points, key=distance)


assert nearest_point([(0, 0), (5, 5)], 1, 2) == (0, 0)
assert nearest_point([(0, 0), (5, 5), (4, 2)], 4, 3) == (4, 2)


def wrap_words(text: str, width: int) -> list[str]:
    """Break a text between words into lines of at most width characters, as long as words allow."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


assert wrap_words("", 5) == []
assert wrap_words("the quick brown fox", 9) == ["the quick", "brown fox"]
assert wrap_words("extraordinary day", 5) == ["extraordinary", "day"]


def vowels_only(text: str) -> str:
    """Keep the vowels of a text."""
    return "".join(character for character in text if character.lower() in "aeiou")


assert vowels_only("") == ""
assert vowels_only("Education") == "Euaio"
assert vowels_only("rhythm") == ""


def bubble_passes(numbers: list[int]) -> int:
    """Count the passes that bubble sort makes over a list until one swaps nothing."""
    numbers = list(numbers)
    passes = 0
    swapped = True
    while swapped:
        swapped = False
        passes += 1
        for i in range(len(numbers) - 1):
            if numbers[i] > numbers[i + 1]:
                numbers[i], numbers[i + 1] = numbers[i + 1], numbers[i]
                swapped = True
    return passes


assert bubble_passes([]) == 1
assert bubble_passes([1, 2, 3]) == 1
assert bubble_passes([3, 1, 2]) == 2
assert bubble_passes([3, 2, 1]) == 3


def parse_table(text: str) -> list[dict[str, str]]:
    """Read rows of values separated by commas; the first line names the columns."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return []
    header = [name.strip() for name in lines[0].split(",")]
    rows = []
    for line in lines[1:]:
        values = [value.strip() for value in line.split(",")]
        rows.append(dict(zip(header, values, strict=False)))
    return rows


assert parse_table("") == []
assert parse_table("a, b\n1, 2\n\n3, 4\n") == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def fibonacci_below(limit: int) -> list[int]:
    """Return the Fibonacci numbers below a limit, beginning with 1 and 1."""
    numbers = []
    one, other = 1, 1
    while one < limit:
        numbers.append(one)
        one, other = other, one + other
    return numbers


assert fibonacci_below(1) == []
assert fibonacci_below(2) == [1, 1]
assert fibonacci_below(20) == [1, 1, 2, 3, 5, 8, 13]


def most_frequent(items: list[str]) -> str | None:
    """Return the item that occurs most often, the first of them in the alphabet if several do."""
    if not items:
        return None
    return min(set(items), key=lambda item: (-items.count(item), item))


assert most_frequent([]) is None
assert most_frequent(["b", "a", "b"]) == "b"
assert most_frequent(["y", "x"]) == "x"


def interleave(one: str, other: str) -> str:
    """Take characters of two texts in turns; what is left of the longer one follows."""
    shorter = min(len(one), len(other))
    mixed = "".join(a + b for a, b in zip(one, other, strict=False))
    return mixed + one[shorter:] + other[shorter:]


assert interleave("", "") == ""
assert interleave("ace", "bd") == "abcde"
assert interleave("x", "yzz") == "xyzz"


def triangle_kind(a: int, b: int, c: int) -> str:
    """Name the triangle that three sides make: equilateral, isosceles, scalene, or none."""
    small, middle, large = sorted((a, b, c))
    if small <= 0 or small + middle <= large:
        return "none"
    if small == large:
        return "equilateral"
    if small == middle or middle == large:
        return "isosceles"
    return "scalene"


assert triangle_kind(3, 3, 3) == "equilateral"
assert triangle_kind(3, 5, 3) == "isosceles"
assert triangle_kind(5, 3, 4) == "scalene"
assert triangle_kind(1, 2, 3) == "none"


def update_deeply(old: dict, new: dict) -> dict:
    """Return old with the values of new in it; dictionaries inside are merged in the same way."""
    merged = dict(old)
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = update_deeply(merged[key], value)
        else:
            merged[key] = value
    return merged


assert update_deeply({}, {"a": 1}) == {"a": 1}
assert update_deeply({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}, "b": 4}) == {"a": {"x": 1, "y": 3}, "b": 4}


def count_islands(grid: list[str]) -> int:
    """Count the groups of "#" cells that touch above, below, left or right."""
    land = {(i, j) for i, row in enumerate(grid) for j, cell in enumerate(row) if cell == "#"}
    islands = 0
    while land:
        islands += 1
        waiting = [land.pop()]
        while waiting:
            i, j = waiting.pop()
            for neighbour in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                if neighbour in land:
                    land.remove(neighbour)
                    waiting.append(neighbour)
    return islands


assert count_islands([]) == 0
assert count_islands(["#.#", "#..", ".##"]) == 3
assert count_islands(["###", "#.#", "###"]) == 1


def file_extension(path: str) -> str:
    """Return what follows the last dot of a file's name, in lower case; nothing for hidden files without another."""
    name = path.rsplit("/", 1)[-1]
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem:
        return ""
    return extension.lower()


assert file_extension("notes.TXT") == "txt"
assert file_extension("a.b/readme") == ""
assert file_extension("/home/.profile") == ""
assert file_extension("x.tar.gz") == "gz"


def power_modulo(base: int, exponent: int, modulus: int) -> int:
    """Return base to the power of exponent, modulo modulus, by repeated squaring."""
    result = 1
    base %= modulus
    while exponent:
        if exponent % 2:
            result = result * base % modulus
        base = base * base % modulus
        exponent //= 2
    return result


assert power_modulo(2, 10, 1000) == 24
assert power_modulo(3, 0, 7) == 1
assert power_modulo(7, 128, 13) == 3


def clamp_all(numbers: list[int], low: int, high: int) -> list[int]:
    """Raise numbers below low to low, and lower those above high to high."""
    return [max(low, min(high, number)) for number in numbers]


assert clamp_all([], 0, 1) == []
assert clamp_all([-5, 3, 99], 0, 10) == [0, 3, 10]


def evaluate_postfix(expression: str) -> int:
    """Compute an expression in postfix notation with +, - and *."""
    stack: list[int] = []
    for token in expression.split():
        if token in ("+", "-", "*"):
            right, left = stack.pop(), stack.pop()
            if token == "+":
                stack.append(left + right)
            elif token == "-":
                stack.append(left - right)
            else:
                stack.append(left * right)
        else:
            stack.append(int(token))
    return stack[0]


assert evaluate_postfix("7") == 7
assert evaluate_postfix("3 4 + 2 *") == 14
assert evaluate_postfix("10 2 3 * -") == 4


def median(numbers: list[float]) -> float:
    """Return the middle of the sorted numbers, or the mean of the two in the middle."""
    ordered = sorted(numbers)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) / 2


assert median([3.0]) == 3.0
assert median([9.0, 1.0, 5.0]) == 5.0
assert median([4.0, 1.0, 3.0, 2.0]) == 2.5


def censor(text: str, words: list[str]) -> str:
    """Replace the given words by asterisks of the same number, whatever their case."""
    hidden = {word.lower() for word in words}
    parts = []
    for part in text.split(" "):
        parts.append("*" * len(part) if part.lower() in hidden else part)
    return " ".join(parts)


assert censor("", ["a"]) == ""
assert censor("My Secret plan", ["secret"]) == "My ****** plan"
assert censor("ab abc ab", ["ab"]) == "** abc **"


def time_overlap(one: tuple[int, int], other: tuple[int, int]) -> int:
    """Return how long two intervals of time overlap; 0 where they do not."""
    start = max(one[0], other[0])
    end = min(one[1], other[1])
    return max(0, end - start)


assert time_overlap((0, 10), (5, 20)) == 5
assert time_overlap((0, 3), (3, 6)) == 0
assert time_overlap((2, 9), (4, 5)) == 1


def pascal_row(number: int) -> list[int]:
    """Return a row of Pascal's triangle; row 0 is [1]."""
    row = [1]
    for _ in range(number):
        row = [a + b for a, b in zip([0, *row], [*row, 0], strict=True)]
    return row


assert pascal_row(0) == [1]
assert pascal_row(1) == [1, 1]
assert pascal_row(4) == [1, 4, 6, 4, 1]


def topological_order(needs: dict[str, list[str]]) -> list[str]:
    """Order tasks so that each comes after those that it needs; of several, the alphabet decides."""
    done: list[str] = []
    waiting = sorted(needs)
    while waiting:
        ready = next(task for task in waiting if all(need in done for need in needs[task]))
        waiting.remove(ready)
        done.append(ready)
    return done


assert topological_order({}) == []
assert topological_order({"cook": ["buy"], "eat": ["cook"], "buy": []}) == ["buy", "cook", "eat"]


def camel_to_snake(name: str) -> str:
    """Turn a camelCase name into snake_case."""
    written = ""
    for character in name:
        if character.isupper():
            if written:
                written += "_"
            written += character.lower()
        else:
            written += character
    return written


assert camel_to_snake("x") == "x"
assert camel_to_snake("maxFileSize") == "max_file_size"
assert camel_to_snake("PathName") == "path_name"


def best_profit(prices: list[int]) -> int:
    """Return the largest gain of buying once and selling later; 0 where there is none."""
    best = 0
    lowest = None
    for price in prices:
        if lowest is None or price < lowest:
            lowest = price
        best = max(best, price - lowest)
    return best


assert best_profit([]) == 0
assert best_profit([9, 4, 7, 2, 6]) == 4
assert best_profit([5, 3, 1]) == 0


def checksum(code: str) -> int:
    """Add up the digits of a code, those at even places doubled, modulo 10. The first place is number 1."""
    total = 0
    for place, character in enumerate(code, start=1):
        digit = int(character)
        total += 2 * digit if place % 2 == 0 else digit
    return total % 10


assert checksum("") == 0
assert checksum("123") == 8
assert checksum("9999") == 4


def sort_by_last_name(names: list[str]) -> list[str]:
    """Sort full names by their last word, then by the rest."""
    return sorted(names, key=lambda name: (name.split()[-1], name))


assert sort_by_last_name([]) == []
assert sort_by_last_name(["Ada Young", "Bo Adams", "Al Young"]) == ["Bo Adams", "Ada Young", "Al Young"]


def longest_run_up(numbers: list[int]) -> int:
    """Return the length of the longest stretch in which each number is greater than the one before."""
    best = length = 0
    previous = None
    for number in numbers:
        length = length + 1 if previous is not None and number > previous else 1
        best = max(best, length)
        previous = number
    return best


assert longest_run_up([]) == 0
assert longest_run_up([5, 1, 2, 3, 2]) == 3
assert longest_run_up([4, 4]) == 1


def apply_discounts(prices: dict[str, float], discounts: dict[str, int]) -> dict[str, float]:
    """Return prices less their discounts in per cent, rounded to two decimals."""
    reduced = {}
    for name, price in prices.items():
        discount = discounts.get(name, 0)
        reduced[name] = round(price * (100 - discount) / 100, 2)
    return reduced


assert apply_discounts({}, {"tea": 10}) == {}
assert apply_discounts({"tea": 4.0, "milk": 1.5}, {"tea": 25}) == {"tea": 3.0, "milk": 1.5}


def spiral(rows: list[list[int]]) -> list[int]:
    """Read a matrix from its top left corner inwards, clockwise."""
    rows = [list(row) for row in rows]
    read = []
    while rows:
        read += rows.pop(0)
        rows = [list(column) for column in zip(*rows, strict=True)][::-1]
    return read


assert spiral([]) == []
assert spiral([[1, 2], [4, 3]]) == [1, 2, 3, 4]
assert spiral([[1, 2, 3], [4, 5, 6], [7, 8, 9]]) == [1, 2, 3, 6, 9, 8, 7, 4, 5]


def edit_distance(one: str, other: str) -> int:
    """Return how many characters must be inserted, deleted or replaced to turn one text into the other."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        above = row
        row = [i]
        for j, b in enumerate(other, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b)))
    return row[-1]


assert edit_distance("", "abc") == 3
assert edit_distance("lawn", "flaw") == 2
assert edit_distance("same", "same") == 0


def parse_setting(line: str) -> tuple[str, object]:
    """Read a line such as "name = value"; true, false and whole numbers become what they say."""
    name, _, text = line.partition("=")
    text = text.strip()
    value: object = text
    if text in ("true", "false"):
        value = text == "true"
    elif text.lstrip("-").isdigit():
        value = int(text)
    return name.strip(), value


assert parse_setting("debug = true") == ("debug", True)
assert parse_setting("depth=-3") == ("depth", -3)
assert parse_setting("title = a = b") == ("title", "a = b")


def intersect_sorted(one: list[int], other: list[int]) -> list[int]:
    """Return the numbers that two ascending lists without repetitions share."""
    shared = []
    i = j = 0
    while i < len(one) and j < len(other):
        if one[i] == other[j]:
            shared.append(one[i])
            i += 1
            j += 1
        elif one[i] < other[j]:
            i += 1
        else:
            j += 1
    return shared


assert intersect_sorted([1, 2], []) == []
assert intersect_sorted([1, 3, 4, 8], [2, 3, 8, 9]) == [3, 8]


class Stack:
    """A stack of numbers that knows its largest one."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.largest: list[int] = []

    def push(self, item: int) -> "Stack":
        """Put an item on top."""
        self.items.append(item)
        if self.largest:
            item = max(item, self.largest[-1])
        self.largest.append(item)
        return self

    def pop(self) -> int:
        """Take the item from the top."""
        self.largest.pop()
        return self.items.pop()

    def maximum(self) -> int:
        """Return the largest item."""
        return self.largest[-1]


assert Stack().push(3).pop() == 3
assert Stack().push(5).push(2).maximum() == 5
assert Stack().push(1).push(9).push(4).items == [1, 9, 4]


class Temperature:
    """A temperature in degrees Celsius, which cannot be below absolute zero."""

    def __init__(self, celsius: float) -> None:
        if celsius < -273.15:
            raise ValueError("below absolute zero")
        self.celsius = celsius

    @property
    def fahrenheit(self) -> float:
        """The same in degrees Fahrenheit."""
        return self.celsius * 9 / 5 + 32

    def __lt__(self, other: "Temperature") -> bool:
        return self.celsius < other.celsius


assert Temperature(100).fahrenheit == 212
assert Temperature(-40.0).fahrenheit == -40
assert (Temperature(3) < Temperature(4)) is True


class Inventory:
    """How many there are of each article in a shop."""

    def __init__(self, stock: dict[str, int]) -> None:
        self.stock = dict(stock)

    def sell(self, article: str, n: int = 1) -> bool:
        """Take n of an article away, and tell whether there were enough; if not, nothing changes."""
        if self.stock.get(article, 0) < n:
            return False
        self.stock[article] -= n
        if self.stock[article] == 0:
            del self.stock[article]
        return True

    def missing(self, wanted: list[str]) -> list[str]:
        """Return the articles that are not in stock, sorted."""
        return sorted(set(wanted) - set(self.stock))


assert Inventory({"pen": 2}).sell("pen", 3) is False
assert Inventory({"pen": 2}).sell("pen") is True
assert Inventory({"pen": 2}).missing(["ink", "pen", "cap"]) == ["cap", "ink"]


class Fraction:
    """A fraction in lowest terms, with a positive denominator."""

    def __init__(self, numerator: int, denominator: int) -> None:
        from math import gcd

        sign = -1 if denominator < 0 else 1
        divisor = gcd(numerator, denominator)
        self.numerator = sign * numerator // divisor
        self.denominator = sign * denominator // divisor

    def plus(self, other: "Fraction") -> "Fraction":
        """Return the sum."""
        numerator = self.numerator * other.denominator + other.numerator * self.denominator
        return Fraction(numerator, self.denominator * other.denominator)

    def __str__(self) -> str:
        return f"{self.numerator}/{self.denominator}"


assert str(Fraction(4, -6)) == "-2/3"
assert str(Fraction(1, 2).plus(Fraction(1, 3))) == "5/6"
