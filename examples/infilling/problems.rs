// Small problems in Rust: derive.py makes tasks of them. Each has a header, a body, and checks that are run.

// problem: running_totals
/// The sums of the first 1, 2, 3, … numbers.
pub fn running_totals(numbers: &[i64]) -> Vec<i64> {
// body
    let mut total = 0;
    let mut totals = Vec::with_capacity(numbers.len());
    for number in numbers {
        total += number;
        totals.push(total);
    }
    totals
}
// check
assert_eq!(running_totals(&[]), Vec::<i64>::new());
assert_eq!(running_totals(&[1, 2, -4]), vec![1, 3, -1]);

// problem: count_words
use std::collections::HashMap;

/// How often each word of a text occurs, whatever its case.
pub fn count_words(text: &str) -> HashMap<String, usize> {
// body
    let mut counts = HashMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word.to_lowercase()).or_insert(0) += 1;
    }
    counts
}
// check
let counts = count_words("a B b\nA c");
assert_eq!((counts["a"], counts["b"], counts["c"], counts.len()), (2, 2, 1, 3));

// problem: longest
/// The longest of some words, the first of them if several are equally long.
pub fn longest<'a>(words: &[&'a str]) -> Option<&'a str> {
// body
    let mut best: Option<&'a str> = None;
    for word in words {
        match best {
            Some(found) if found.len() >= word.len() => {}
            _ => best = Some(word),
        }
    }
    best
}
// check
assert_eq!(longest(&["we", "red", "tan"]), Some("red"));
assert_eq!(longest(&[]), None);

// problem: Stack
/// A stack of any items.
#[derive(Debug, Default)]
pub struct Stack<T> {
    items: Vec<T>,
}

impl<T: Clone> Stack<T> {
// body
    pub fn new() -> Self {
        Stack { items: Vec::new() }
    }

    pub fn push(&mut self, item: T) -> &mut Self {
        self.items.push(item);
        self
    }

    pub fn pop(&mut self) -> Option<T> {
        self.items.pop()
    }

    pub fn peek(&self) -> Option<&T> {
        self.items.last()
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }
}
// check
let mut stack = Stack::new();
stack.push(1).push(2);
assert_eq!(stack.peek(), Some(&2));
assert_eq!((stack.pop(), stack.len()), (Some(2), 1));

// problem: parse_pair
/// Parse a text such as "width=12".
pub fn parse_pair(text: &str) -> Result<(String, i32), String> {
// body
    let (name, value) = match text.split_once('=') {
        Some(parts) => parts,
        None => return Err(format!("{text} has no equals sign")),
    };
    let number = value
        .trim()
        .parse::<i32>()
        .map_err(|error| error.to_string())?;
    Ok((name.trim().to_string(), number))
}
// check
assert_eq!(parse_pair("width = 12"), Ok(("width".to_string(), 12)));
assert!(parse_pair("width").is_err());
assert!(parse_pair("width=x").is_err());

// problem: gcd
/// The greatest common divisor.
pub fn gcd(a: u64, b: u64) -> u64 {
// body
    let (mut x, mut y) = (a, b);
    while y != 0 {
        let rest = x % y;
        x = y;
        y = rest;
    }
    x
}
// check
assert_eq!(gcd(12, 18), 6);
assert_eq!(gcd(7, 0), 7);

// problem: is_balanced
/// Whether every bracket of a text is closed by its like, in the right order.
pub fn is_balanced(text: &str) -> bool {
// body
    let mut expected = Vec::new();
    for sign in text.chars() {
        match sign {
            '(' => expected.push(')'),
            '[' => expected.push(']'),
            '{' => expected.push('}'),
            ')' | ']' | '}' => {
                if expected.pop() != Some(sign) {
                    return false;
                }
            }
            _ => {}
        }
    }
    expected.is_empty()
}
// check
assert!(is_balanced("a(b[c]{d})"));
assert!(!is_balanced("(]"));
assert!(!is_balanced("(("));

// problem: area
/// Shapes of several kinds.
pub enum Shape {
    Circle { radius: f64 },
    Rectangle { width: f64, height: f64 },
    Triangle(f64, f64, f64),
}

/// The area of a shape.
pub fn area(shape: &Shape) -> f64 {
// body
    match shape {
        Shape::Circle { radius } => std::f64::consts::PI * radius * radius,
        Shape::Rectangle { width, height } => width * height,
        Shape::Triangle(a, b, c) => {
            let half = (a + b + c) / 2.0;
            (half * (half - a) * (half - b) * (half - c)).sqrt()
        }
    }
}
// check
assert_eq!(area(&Shape::Rectangle { width: 2.0, height: 3.0 }), 6.0);
assert_eq!(area(&Shape::Triangle(3.0, 4.0, 5.0)), 6.0);
assert!((area(&Shape::Circle { radius: 1.0 }) - 3.1416).abs() < 0.001);

// problem: primes_below
/// All primes below a limit.
pub fn primes_below(limit: usize) -> Vec<usize> {
// body
    let mut is_composite = vec![false; limit];
    let mut primes = Vec::new();
    for candidate in 2..limit {
        if is_composite[candidate] {
            continue;
        }
        primes.push(candidate);
        for multiple in (candidate * candidate..limit).step_by(candidate) {
            is_composite[multiple] = true;
        }
    }
    primes
}
// check
assert_eq!(primes_below(12), vec![2, 3, 5, 7, 11]);
assert!(primes_below(2).is_empty());

// problem: caesar
/// Move every letter by some places in the alphabet, and leave the rest alone.
pub fn caesar(text: &str, shift: u8) -> String {
// body
    text.chars()
        .map(|letter| {
            let base = match letter {
                'a'..='z' => b'a',
                'A'..='Z' => b'A',
                _ => return letter,
            };
            let place = (letter as u8 - base + shift % 26) % 26;
            (base + place) as char
        })
        .collect()
}
// check
assert_eq!(caesar("xyz!", 3), "abc!");
assert_eq!(caesar("Hello", 26), "Hello");

// problem: merge_sorted
/// Merge two ascending lists into one.
pub fn merge_sorted<T: Ord + Copy>(left: &[T], right: &[T]) -> Vec<T> {
// body
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut i, mut j) = (0, 0);
    while i < left.len() && j < right.len() {
        if left[i] <= right[j] {
            merged.push(left[i]);
            i += 1;
        } else {
            merged.push(right[j]);
            j += 1;
        }
    }
    merged.extend_from_slice(&left[i..]);
    merged.extend_from_slice(&right[j..]);
    merged
}
// check
assert_eq!(merge_sorted(&[1, 4, 5], &[2, 3, 9]), vec![1, 2, 3, 4, 5, 9]);
assert_eq!(merge_sorted(&[], &[1]), vec![1]);

// problem: Account
/// An account whose balance never falls below zero.
pub struct Account {
    owner: String,
    balance: u64,
}

impl Account {
// body
    pub fn new(owner: &str) -> Self {
        Account { owner: owner.to_string(), balance: 0 }
    }

    pub fn deposit(&mut self, amount: u64) {
        self.balance += amount;
    }

    pub fn withdraw(&mut self, amount: u64) -> Result<u64, String> {
        if amount > self.balance {
            return Err(format!("{} has only {}", self.owner, self.balance));
        }
        self.balance -= amount;
        Ok(self.balance)
    }
}
// check
let mut account = Account::new("Ada");
account.deposit(10);
assert_eq!(account.withdraw(4), Ok(6));
assert_eq!(account.withdraw(7), Err("Ada has only 6".to_string()));

// problem: transpose
/// Turn the rows of a matrix into its columns.
pub fn transpose(rows: &[Vec<i32>]) -> Vec<Vec<i32>> {
// body
    let n_columns = rows.first().map_or(0, |row| row.len());
    let mut columns = Vec::with_capacity(n_columns);
    for i in 0..n_columns {
        columns.push(rows.iter().map(|row| row[i]).collect());
    }
    columns
}
// check
assert_eq!(transpose(&[vec![1, 2], vec![3, 4]]), vec![vec![1, 3], vec![2, 4]]);
assert!(transpose(&[]).is_empty());

// problem: Point
use std::ops::Add;

/// A point of the plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub x: i32,
    pub y: i32,
}

impl Add for Point {
// body
    type Output = Point;

    fn add(self, other: Point) -> Point {
        Point {
            x: self.x + other.x,
            y: self.y + other.y,
        }
    }
}

impl Point {
    pub fn distance(&self, other: &Point) -> i32 {
        (self.x - other.x).abs() + (self.y - other.y).abs()
    }
}
// check
let sum = Point { x: 1, y: 2 } + Point { x: 3, y: -4 };
assert_eq!(sum, Point { x: 4, y: -2 });
assert_eq!(sum.distance(&Point { x: 0, y: 0 }), 6);

// problem: fibonacci
/// Yields the numbers of Fibonacci.
pub struct Fibonacci {
    current: u64,
    next: u64,
}

pub fn fibonacci() -> Fibonacci {
    Fibonacci { current: 0, next: 1 }
}

impl Iterator for Fibonacci {
// body
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let result = self.current;
        self.current = self.next;
        self.next += result;
        Some(result)
    }
}
// check
assert_eq!(fibonacci().take(7).collect::<Vec<_>>(), vec![0, 1, 1, 2, 3, 5, 8]);

// problem: parse_duration
/// The seconds that a duration such as "1h20m5s" stands for.
pub fn parse_duration(text: &str) -> Option<u32> {
// body
    let mut seconds = 0;
    let mut number = String::new();
    for sign in text.chars() {
        if sign.is_ascii_digit() {
            number.push(sign);
            continue;
        }
        let unit = match sign {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        seconds += number.parse::<u32>().ok()? * unit;
        number.clear();
    }
    Some(seconds)
}
// check
assert_eq!(parse_duration("1h20m5s"), Some(4805));
assert_eq!(parse_duration("5x"), None);

// problem: group_by_length
use std::collections::BTreeMap;

/// The words by their length, in ascending order.
pub fn group_by_length(words: &[&str]) -> BTreeMap<usize, Vec<String>> {
// body
    let mut groups: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for word in words {
        groups
            .entry(word.chars().count())
            .or_default()
            .push(word.to_string());
    }
    groups
}
// check
let groups = group_by_length(&["a", "bc", "d"]);
assert_eq!(groups.keys().copied().collect::<Vec<_>>(), vec![1, 2]);
assert_eq!(groups[&1], vec!["a", "d"]);

// problem: binary_search
/// The index of a number in an ascending list.
pub fn binary_search(numbers: &[i32], wanted: i32) -> Option<usize> {
// body
    let mut low = 0;
    let mut high = numbers.len();
    while low < high {
        let middle = (low + high) / 2;
        if numbers[middle] < wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if low < numbers.len() && numbers[low] == wanted {
        Some(low)
    } else {
        None
    }
}
// check
assert_eq!(binary_search(&[1, 3, 5, 9], 5), Some(2));
assert_eq!(binary_search(&[1, 3, 5, 9], 4), None);

// problem: median
/// The median of numbers.
pub fn median(numbers: &[f64]) -> Option<f64> {
// body
    if numbers.is_empty() {
        return None;
    }
    let mut sorted = numbers.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        Some(sorted[middle])
    } else {
        Some((sorted[middle - 1] + sorted[middle]) / 2.0)
    }
}
// check
assert_eq!(median(&[10.0, 9.0, 1.0]), Some(9.0));
assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
assert_eq!(median(&[]), None);

// problem: run_lengths
/// The letters of a text and how often each stands in a row.
pub fn run_lengths(text: &str) -> Vec<(char, usize)> {
// body
    let mut runs: Vec<(char, usize)> = Vec::new();
    for letter in text.chars() {
        match runs.last_mut() {
            Some((last, n)) if *last == letter => *n += 1,
            _ => runs.push((letter, 1)),
        }
    }
    runs
}
// check
assert_eq!(run_lengths("aabccc"), vec![('a', 2), ('b', 1), ('c', 3)]);
assert!(run_lengths("").is_empty());
