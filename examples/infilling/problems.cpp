// Small problems in C++: derive.py makes tasks of them. Each has a header, a body, and checks that are run.

// problem: running_totals
#include <vector>

/// The sums of the first 1, 2, 3, … numbers.
std::vector<int> running_totals(const std::vector<int>& numbers) {
// body
    std::vector<int> totals;
    int total = 0;
    for (int number : numbers) {
        total += number;
        totals.push_back(total);
    }
    return totals;
}
// check
check(running_totals({1, 2, -4}) == std::vector<int>{1, 3, -1});
check(running_totals({}).empty());

// problem: count_words
#include <map>
#include <sstream>
#include <string>

/// How often each word of a text occurs.
std::map<std::string, int> count_words(const std::string& text) {
// body
    std::map<std::string, int> counts;
    std::istringstream stream(text);
    std::string word;
    while (stream >> word) {
        ++counts[word];
    }
    return counts;
}
// check
check(count_words("a b\n a") == std::map<std::string, int>{{"a", 2}, {"b", 1}});

// problem: is_palindrome
#include <cctype>
#include <string>

/// Whether a text reads the same backwards, letters and digits alone.
bool is_palindrome(const std::string& text) {
// body
    std::string signs;
    for (unsigned char sign : text) {
        if (std::isalnum(sign)) {
            signs += static_cast<char>(std::tolower(sign));
        }
    }
    return std::string(signs.rbegin(), signs.rend()) == signs;
}
// check
check(is_palindrome("A man, a plan, a canal: Panama"));
check(!is_palindrome("abca"));

// problem: Stack
#include <stdexcept>
#include <utility>
#include <vector>

/// A stack of any items.
template <typename T>
class Stack {
// body
public:
    void push(T item) { items_.push_back(std::move(item)); }

    T pop() {
        if (items_.empty()) {
            throw std::out_of_range("the stack is empty");
        }
        T item = std::move(items_.back());
        items_.pop_back();
        return item;
    }

    std::size_t size() const { return items_.size(); }

private:
    std::vector<T> items_;
};
// check
Stack<int> stack;
stack.push(1);
stack.push(2);
check(stack.pop() == 2 && stack.size() == 1);

// problem: gcd
/// The greatest common divisor.
long gcd(long a, long b) {
// body
    while (b != 0) {
        long rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}
// check
check(gcd(12, 18) == 6);
check(gcd(-7, 0) == 7);

// problem: split
#include <string>
#include <vector>

/// The parts of a text between separators.
std::vector<std::string> split(const std::string& text, char separator) {
// body
    std::vector<std::string> parts;
    std::size_t start = 0;
    while (true) {
        std::size_t end = text.find(separator, start);
        if (end == std::string::npos) {
            parts.push_back(text.substr(start));
            return parts;
        }
        parts.push_back(text.substr(start, end - start));
        start = end + 1;
    }
}
// check
check(split("a,b,", ',') == std::vector<std::string>{"a", "b", ""});

// problem: is_balanced
#include <string>
#include <vector>

/// Whether every bracket of a text is closed by its like, in the right order.
bool is_balanced(const std::string& text) {
// body
    const std::string openers = "([{";
    const std::string closers = ")]}";
    std::vector<char> expected;
    for (char sign : text) {
        std::size_t at = openers.find(sign);
        if (at != std::string::npos) {
            expected.push_back(closers[at]);
        } else if (closers.find(sign) != std::string::npos) {
            if (expected.empty() || expected.back() != sign) {
                return false;
            }
            expected.pop_back();
        }
    }
    return expected.empty();
}
// check
check(is_balanced("a(b[c]{d})"));
check(!is_balanced("(]") && !is_balanced("(("));

// problem: primes_below
#include <vector>

/// All primes below a limit.
std::vector<int> primes_below(int limit) {
// body
    std::vector<bool> is_composite(limit > 0 ? limit : 0, false);
    std::vector<int> primes;
    for (int candidate = 2; candidate < limit; ++candidate) {
        if (is_composite[candidate]) {
            continue;
        }
        primes.push_back(candidate);
        for (int multiple = 2 * candidate; multiple < limit; multiple += candidate) {
            is_composite[multiple] = true;
        }
    }
    return primes;
}
// check
check(primes_below(12) == std::vector<int>{2, 3, 5, 7, 11});

// problem: Account
#include <stdexcept>
#include <string>

/// An account whose balance never falls below zero.
class Account {
// body
public:
    explicit Account(const std::string& owner) : owner_(owner) {}

    void deposit(long amount) { balance_ += amount; }

    long withdraw(long amount) {
        if (amount > balance_) {
            throw std::runtime_error(owner_ + " has too little");
        }
        balance_ -= amount;
        return balance_;
    }

private:
    std::string owner_;
    long balance_ = 0;
};
// check
Account account("Ada");
account.deposit(10);
check(account.withdraw(4) == 6);
bool failed = false;
try {
    account.withdraw(7);
} catch (const std::runtime_error& error) {
    failed = std::string(error.what()) == "Ada has too little";
}
check(failed);

// problem: merge_sorted
#include <vector>

/// Two ascending lists as one.
template <typename T>
std::vector<T> merge_sorted(const std::vector<T>& left, const std::vector<T>& right) {
// body
    std::vector<T> merged;
    merged.reserve(left.size() + right.size());
    auto i = left.begin();
    auto j = right.begin();
    while (i != left.end() && j != right.end()) {
        merged.push_back(*j < *i ? *j++ : *i++);
    }
    merged.insert(merged.end(), i, left.end());
    merged.insert(merged.end(), j, right.end());
    return merged;
}
// check
check(merge_sorted<int>({1, 4}, {2, 9}) == std::vector<int>{1, 2, 4, 9});

// problem: to_roman
#include <string>
#include <utility>
#include <vector>

/// A number from 1 to 3999 in Roman numerals.
std::string to_roman(int number) {
// body
    static const std::vector<std::pair<int, std::string>> signs = {
        {1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"},
        {40, "XL"},  {10, "X"},   {9, "IX"},  {5, "V"},    {4, "IV"},  {1, "I"},
    };
    std::string roman;
    for (const auto& [value, sign] : signs) {
        while (number >= value) {
            roman += sign;
            number -= value;
        }
    }
    return roman;
}
// check
check(to_roman(1994) == "MCMXCIV");

// problem: Point
/// A point of the plane.
struct Point {
    int x;
    int y;
};

/// The sum of two points, coordinate by coordinate.
Point operator+(const Point& a, const Point& b) {
// body
    return {a.x + b.x, a.y + b.y};
}

bool operator==(const Point& a, const Point& b) {
    return a.x == b.x && a.y == b.y;
}

int distance(const Point& a, const Point& b) {
    int dx = a.x > b.x ? a.x - b.x : b.x - a.x;
    int dy = a.y > b.y ? a.y - b.y : b.y - a.y;
    return dx + dy;
}
// check
check(Point{1, 2} + Point{3, -4} == Point{4, -2});
check(distance(Point{0, 0}, Point{4, -2}) == 6);

// problem: parse_duration
#include <cctype>
#include <stdexcept>
#include <string>

/// The seconds that a text such as "1h20m5s" stands for.
int parse_duration(const std::string& text) {
// body
    int seconds = 0;
    int number = 0;
    for (char sign : text) {
        if (std::isdigit(static_cast<unsigned char>(sign))) {
            number = 10 * number + (sign - '0');
            continue;
        }
        switch (sign) {
            case 'h': seconds += number * 3600; break;
            case 'm': seconds += number * 60; break;
            case 's': seconds += number; break;
            default: throw std::invalid_argument("unknown unit");
        }
        number = 0;
    }
    return seconds;
}
// check
check(parse_duration("1h20m5s") == 4805);

// problem: binary_search
#include <vector>

/// The index of a number in an ascending list, or -1.
int find_sorted(const std::vector<int>& numbers, int wanted) {
// body
    int low = 0;
    int high = static_cast<int>(numbers.size()) - 1;
    while (low <= high) {
        int middle = low + (high - low) / 2;
        if (numbers[middle] == wanted) {
            return middle;
        }
        if (numbers[middle] < wanted) {
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    return -1;
}
// check
check(find_sorted({1, 3, 5, 9}, 5) == 2);
check(find_sorted({1, 3, 5, 9}, 4) == -1);

// problem: Shape
#include <memory>
#include <vector>

/// Whatever has an area.
struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
};

/// A square with its side, and a rectangle with its sides.
struct Square : Shape {
// body
    explicit Square(double side) : side(side) {}
    double area() const override { return side * side; }
    double side;
};

struct Rectangle : Shape {
    Rectangle(double width, double height) : width(width), height(height) {}
    double area() const override { return width * height; }
    double width, height;
};

double total_area(const std::vector<std::unique_ptr<Shape>>& shapes) {
    double total = 0;
    for (const auto& shape : shapes) {
        total += shape->area();
    }
    return total;
}
// check
std::vector<std::unique_ptr<Shape>> shapes;
shapes.push_back(std::make_unique<Square>(3));
shapes.push_back(std::make_unique<Rectangle>(2, 5));
check(total_area(shapes) == 19);

// problem: group_by
#include <map>
#include <vector>

/// Items by the key that a function gives for each of them.
template <typename T, typename F>
auto group_by(const std::vector<T>& items, F key_of) {
// body
    std::map<decltype(key_of(items.front())), std::vector<T>> groups;
    for (const T& item : items) {
        groups[key_of(item)].push_back(item);
    }
    return groups;
}
// check
auto groups = group_by(std::vector<int>{1, 2, 3, 4}, [](int x) { return x % 2; });
check(groups[1] == std::vector<int>{1, 3} && groups[0] == std::vector<int>{2, 4});

// problem: caesar
#include <string>

/// Every small letter moved by some places in the alphabet, the rest as it is.
std::string caesar(std::string text, int shift) {
// body
    for (char& letter : text) {
        if (letter >= 'a' && letter <= 'z') {
            int place = (letter - 'a' + shift % 26 + 26) % 26;
            letter = static_cast<char>('a' + place);
        }
    }
    return text;
}
// check
check(caesar("xyz!", 3) == "abc!");
check(caesar("abc", -1) == "zab");

// problem: median
#include <algorithm>
#include <optional>
#include <vector>

/// The median of numbers.
std::optional<double> median(std::vector<double> numbers) {
// body
    if (numbers.empty()) {
        return std::nullopt;
    }
    std::sort(numbers.begin(), numbers.end());
    std::size_t middle = numbers.size() / 2;
    if (numbers.size() % 2 == 1) {
        return numbers[middle];
    }
    return (numbers[middle - 1] + numbers[middle]) / 2;
}
// check
check(median({10, 9, 1}) == 9);
check(median({4, 1, 3, 2}) == 2.5);
check(!median({}).has_value());

// problem: trim
#include <string>

/// A text without the blanks at its ends.
std::string trim(const std::string& text) {
// body
    const char* blanks = " \t\n\r";
    std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string::npos) {
        return "";
    }
    std::size_t last = text.find_last_not_of(blanks);
    return text.substr(first, last - first + 1);
}
// check
check(trim("  a b\n") == "a b");
check(trim(" \t").empty());

// problem: run_lengths
#include <string>
#include <utility>
#include <vector>

/// The letters of a text and how often each stands in a row.
std::vector<std::pair<char, int>> run_lengths(const std::string& text) {
// body
    std::vector<std::pair<char, int>> runs;
    for (char letter : text) {
        if (!runs.empty() && runs.back().first == letter) {
            ++runs.back().second;
        } else {
            runs.emplace_back(letter, 1);
        }
    }
    return runs;
}
// check
check(run_lengths("aab") == std::vector<std::pair<char, int>>{{'a', 2}, {'b', 1}});
