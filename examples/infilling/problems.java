// Small problems in Java: derive.py makes tasks of them. Each has a header, a body, and checks that are run.

// problem: runningTotals
class Totals {
    /** The sums of the first 1, 2, 3, … numbers. */
    static int[] runningTotals(int[] numbers) {
// body
        int[] totals = new int[numbers.length];
        int total = 0;
        for (int i = 0; i < numbers.length; i++) {
            total += numbers[i];
            totals[i] = total;
        }
        return totals;
    }
}
// check
check(java.util.Arrays.equals(Totals.runningTotals(new int[] {1, 2, -4}), new int[] {1, 3, -1}));

// problem: countWords
import java.util.Map;
import java.util.TreeMap;

class Words {
    /** How often each word of a text occurs, whatever its case. */
    static Map<String, Integer> countWords(String text) {
// body
        Map<String, Integer> counts = new TreeMap<>();
        for (String word : text.trim().toLowerCase().split("\\s+")) {
            if (!word.isEmpty()) {
                counts.merge(word, 1, Integer::sum);
            }
        }
        return counts;
    }
}
// check
check(Words.countWords(" a B b\n A c").toString().equals("{a=2, b=2, c=1}"));
check(Words.countWords("").isEmpty());

// problem: isPalindrome
class Palindromes {
    /** Whether a text reads the same backwards, letters and digits alone. */
    static boolean isPalindrome(String text) {
// body
        int left = 0;
        int right = text.length() - 1;
        while (left < right) {
            if (!Character.isLetterOrDigit(text.charAt(left))) {
                left++;
            } else if (!Character.isLetterOrDigit(text.charAt(right))) {
                right--;
            } else if (Character.toLowerCase(text.charAt(left++)) != Character.toLowerCase(text.charAt(right--))) {
                return false;
            }
        }
        return true;
    }
}
// check
check(Palindromes.isPalindrome("A man, a plan, a canal: Panama"));
check(!Palindromes.isPalindrome("abca"));

// problem: Stack
import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;

/** A stack of any items. */
class Stack<T> {
// body
    private final List<T> items = new ArrayList<>();

    void push(T item) {
        items.add(item);
    }

    T pop() {
        if (items.isEmpty()) {
            throw new NoSuchElementException("the stack is empty");
        }
        return items.remove(items.size() - 1);
    }

    int size() {
        return items.size();
    }
}
// check
Stack<String> stack = new Stack<>();
stack.push("a");
stack.push("b");
check(stack.pop().equals("b") && stack.size() == 1);

// problem: gcd
class Numbers {
    /** The greatest common divisor. */
    static long gcd(long a, long b) {
// body
        long x = Math.abs(a);
        long y = Math.abs(b);
        while (y != 0) {
            long rest = x % y;
            x = y;
            y = rest;
        }
        return x;
    }
}
// check
check(Numbers.gcd(12, 18) == 6);
check(Numbers.gcd(-7, 0) == 7);

// problem: primesBelow
import java.util.ArrayList;
import java.util.List;

class Primes {
    /** All primes below a limit. */
    static List<Integer> primesBelow(int limit) {
// body
        boolean[] isComposite = new boolean[Math.max(limit, 0)];
        List<Integer> primes = new ArrayList<>();
        for (int candidate = 2; candidate < limit; candidate++) {
            if (isComposite[candidate]) {
                continue;
            }
            primes.add(candidate);
            for (int multiple = 2 * candidate; multiple < limit; multiple += candidate) {
                isComposite[multiple] = true;
            }
        }
        return primes;
    }
}
// check
check(Primes.primesBelow(12).toString().equals("[2, 3, 5, 7, 11]"));

// problem: isBalanced
import java.util.ArrayDeque;
import java.util.Deque;

class Brackets {
    /** Whether every bracket of a text is closed by its like, in the right order. */
    static boolean isBalanced(String text) {
// body
        Deque<Character> expected = new ArrayDeque<>();
        for (char sign : text.toCharArray()) {
            switch (sign) {
                case '(':
                    expected.push(')');
                    break;
                case '[':
                    expected.push(']');
                    break;
                case ')':
                case ']':
                    if (expected.isEmpty() || expected.pop() != sign) {
                        return false;
                    }
                    break;
                default:
                    break;
            }
        }
        return expected.isEmpty();
    }
}
// check
check(Brackets.isBalanced("a(b[c])"));
check(!Brackets.isBalanced("(]") && !Brackets.isBalanced("(("));

// problem: Account
/** An account whose balance never falls below zero. */
class Account {
// body
    private final String owner;
    private long balance;

    Account(String owner) {
        this.owner = owner;
    }

    void deposit(long amount) {
        if (amount <= 0) {
            throw new IllegalArgumentException("the amount must be positive");
        }
        balance += amount;
    }

    long withdraw(long amount) {
        if (amount > balance) {
            throw new IllegalStateException(owner + " has only " + balance);
        }
        balance -= amount;
        return balance;
    }
}
// check
Account account = new Account("Ada");
account.deposit(10);
check(account.withdraw(4) == 6);
try {
    account.withdraw(7);
    check(false);
} catch (IllegalStateException error) {
    check(error.getMessage().equals("Ada has only 6"));
}

// problem: groupByLength
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

class Groups {
    /** The words by their length, in ascending order. */
    static Map<Integer, List<String>> groupByLength(List<String> words) {
// body
        Map<Integer, List<String>> groups = new TreeMap<>();
        for (String word : words) {
            groups.computeIfAbsent(word.length(), length -> new ArrayList<>()).add(word);
        }
        return groups;
    }
}
// check
check(Groups.groupByLength(java.util.List.of("a", "bc", "d")).toString().equals("{1=[a, d], 2=[bc]}"));

// problem: toRoman
class Romans {
    private static final int[] VALUES = {1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1};
    private static final String[] SIGNS = {"M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"};

    /** A number from 1 to 3999 in Roman numerals. */
    static String toRoman(int number) {
// body
        StringBuilder roman = new StringBuilder();
        for (int i = 0; i < VALUES.length; i++) {
            while (number >= VALUES[i]) {
                roman.append(SIGNS[i]);
                number -= VALUES[i];
            }
        }
        return roman.toString();
    }
}
// check
check(Romans.toRoman(1994).equals("MCMXCIV"));

// problem: Pair
import java.util.function.Function;

/** Two values that belong together. */
class Pair<A, B> {
// body
    private final A first;
    private final B second;

    Pair(A first, B second) {
        this.first = first;
        this.second = second;
    }

    A first() {
        return first;
    }

    <C> Pair<A, C> mapSecond(Function<B, C> function) {
        return new Pair<>(first, function.apply(second));
    }

    Pair<B, A> swapped() {
        return new Pair<>(second, first);
    }
}
// check
Pair<String, Integer> pair = new Pair<>("a", 2);
check(pair.swapped().first() == 2);
check(pair.mapSecond(x -> x + 1).swapped().first() == 3);

// problem: parseDuration
class Durations {
    /** The seconds that a text such as "1h20m5s" stands for. */
    static int parseDuration(String text) {
// body
        int seconds = 0;
        int number = 0;
        for (char sign : text.toCharArray()) {
            if (Character.isDigit(sign)) {
                number = 10 * number + (sign - '0');
                continue;
            }
            int unit = sign == 'h' ? 3600 : sign == 'm' ? 60 : 1;
            seconds += number * unit;
            number = 0;
        }
        return seconds;
    }
}
// check
check(Durations.parseDuration("1h20m5s") == 4805);
check(Durations.parseDuration("") == 0);

// problem: binarySearch
class Searches {
    /** The index of a number in an ascending list, or -1. */
    static int binarySearch(int[] numbers, int wanted) {
// body
        int low = 0;
        int high = numbers.length - 1;
        while (low <= high) {
            int middle = (low + high) >>> 1;
            if (numbers[middle] == wanted) {
                return middle;
            } else if (numbers[middle] < wanted) {
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        return -1;
    }
}
// check
check(Searches.binarySearch(new int[] {1, 3, 5, 9}, 5) == 2);
check(Searches.binarySearch(new int[] {1, 3, 5, 9}, 4) == -1);

// problem: Shape
/** Whatever has an area. */
interface Shape {
    double area();
}

/** A rectangle with its sides. */
class Rectangle implements Shape {
// body
    private final double width;
    private final double height;

    Rectangle(double width, double height) {
        this.width = width;
        this.height = height;
    }

    @Override
    public double area() {
        return width * height;
    }

    Rectangle scaled(double factor) {
        return new Rectangle(width * factor, height * factor);
    }
}
// check
Shape shape = new Rectangle(2, 3).scaled(2);
check(shape.area() == 24);

// problem: joinWith
import java.util.Iterator;

class Joins {
    /** The items as text, with a separator between them. */
    static String joinWith(Iterable<?> items, String separator) {
// body
        StringBuilder joined = new StringBuilder();
        Iterator<?> iterator = items.iterator();
        while (iterator.hasNext()) {
            joined.append(iterator.next());
            if (iterator.hasNext()) {
                joined.append(separator);
            }
        }
        return joined.toString();
    }
}
// check
check(Joins.joinWith(java.util.List.of(1, 2, 3), ", ").equals("1, 2, 3"));
check(Joins.joinWith(java.util.List.of(), ", ").isEmpty());

// problem: mergeSorted
class Merges {
    /** Two ascending lists as one. */
    static int[] mergeSorted(int[] left, int[] right) {
// body
        int[] merged = new int[left.length + right.length];
        int i = 0;
        int j = 0;
        for (int k = 0; k < merged.length; k++) {
            if (j >= right.length || (i < left.length && left[i] <= right[j])) {
                merged[k] = left[i++];
            } else {
                merged[k] = right[j++];
            }
        }
        return merged;
    }
}
// check
check(java.util.Arrays.equals(Merges.mergeSorted(new int[] {1, 4}, new int[] {2, 9}), new int[] {1, 2, 4, 9}));

// problem: maxBy
import java.util.List;
import java.util.Optional;
import java.util.function.ToIntFunction;

class Largest {
    /** The item with the largest value, the first of several. */
    static <T> Optional<T> maxBy(List<T> items, ToIntFunction<T> valueOf) {
// body
        T best = null;
        int most = Integer.MIN_VALUE;
        for (T item : items) {
            int value = valueOf.applyAsInt(item);
            if (best == null || value > most) {
                best = item;
                most = value;
            }
        }
        return Optional.ofNullable(best);
    }
}
// check
check(Largest.maxBy(java.util.List.of("a", "bcd", "efg"), String::length).get().equals("bcd"));
check(Largest.maxBy(java.util.List.<String>of(), String::length).isEmpty());

// problem: caesar
class Ciphers {
    /** Every small letter moved by some places in the alphabet, the rest as it is. */
    static String caesar(String text, int shift) {
// body
        StringBuilder moved = new StringBuilder();
        for (char letter : text.toCharArray()) {
            if (letter >= 'a' && letter <= 'z') {
                int place = Math.floorMod(letter - 'a' + shift, 26);
                moved.append((char) ('a' + place));
            } else {
                moved.append(letter);
            }
        }
        return moved.toString();
    }
}
// check
check(Ciphers.caesar("xyz!", 3).equals("abc!"));
check(Ciphers.caesar("abc", -1).equals("zab"));

// problem: transpose
class Matrices {
    /** The columns of a matrix as rows. */
    static int[][] transpose(int[][] rows) {
// body
        if (rows.length == 0) {
            return new int[0][];
        }
        int[][] columns = new int[rows[0].length][rows.length];
        for (int i = 0; i < rows.length; i++) {
            for (int j = 0; j < rows[i].length; j++) {
                columns[j][i] = rows[i][j];
            }
        }
        return columns;
    }
}
// check
check(java.util.Arrays.deepToString(Matrices.transpose(new int[][] {{1, 2}, {3, 4}})).equals("[[1, 3], [2, 4]]"));

// problem: longestRun
class Runs {
    /** How many equal letters in a row a text has at most. */
    static int longestRun(String text) {
// body
        int longest = 0;
        int current = 0;
        for (int i = 0; i < text.length(); i++) {
            boolean isSame = i > 0 && text.charAt(i) == text.charAt(i - 1);
            current = isSame ? current + 1 : 1;
            longest = Math.max(longest, current);
        }
        return longest;
    }
}
// check
check(Runs.longestRun("aabccc") == 3);
check(Runs.longestRun("") == 0);
