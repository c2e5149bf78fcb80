// Small problems in Go: derive.py makes tasks of them. Each has a header, a body, and checks that are run.

// problem: RunningTotals
package main

import "fmt"

// RunningTotals returns the sums of the first 1, 2, 3, … numbers.
func RunningTotals(numbers []int) []int {
// body
	totals := make([]int, 0, len(numbers))
	total := 0
	for _, number := range numbers {
		total += number
		totals = append(totals, total)
	}
	return totals
}
// check
check(fmt.Sprint(RunningTotals([]int{1, 2, -4})) == "[1 3 -1]")

// problem: CountWords
package main

import (
	"fmt"
	"strings"
)

// CountWords counts how often each word of a text occurs, whatever its case.
func CountWords(text string) map[string]int {
// body
	counts := make(map[string]int)
	for _, word := range strings.Fields(text) {
		counts[strings.ToLower(word)]++
	}
	return counts
}
// check
check(fmt.Sprint(CountWords("a B b\nA c")) == "map[a:2 b:2 c:1]")

// problem: Reverse
package main

import "fmt"

// Reverse writes a text backwards, letter by letter.
func Reverse(text string) string {
// body
	runes := []rune(text)
	for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
		runes[i], runes[j] = runes[j], runes[i]
	}
	return string(runes)
}
// check
check(Reverse("añb") == "bña")
check(Reverse("") == "")

// problem: ParsePair
package main

import (
	"fmt"
	"strconv"
	"strings"
)

// ParsePair reads a text such as "width=12".
func ParsePair(text string) (string, int, error) {
// body
	name, value, found := strings.Cut(text, "=")
	if !found {
		return "", 0, fmt.Errorf("%q has no equals sign", text)
	}
	number, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil {
		return "", 0, err
	}
	return strings.TrimSpace(name), number, nil
}
// check
name, value, err := ParsePair("width = 12")
check(name == "width" && value == 12 && err == nil)
_, _, err = ParsePair("width")
check(err != nil)

// problem: Stack
package main

import "fmt"

// Stack is a stack of any items.
type Stack[T any] struct {
	items []T
}

// Push puts an item on top.
func (s *Stack[T]) Push(item T) {
// body
	s.items = append(s.items, item)
}

// Pop takes the item on top; false says that there is none.
func (s *Stack[T]) Pop() (T, bool) {
	var item T
	if len(s.items) == 0 {
		return item, false
	}
	last := len(s.items) - 1
	item = s.items[last]
	s.items = s.items[:last]
	return item, true
}
// check
var stack Stack[int]
stack.Push(1)
stack.Push(2)
top, ok := stack.Pop()
check(top == 2 && ok)
stack.Pop()
_, ok = stack.Pop()
check(!ok)

// problem: IsBalanced
package main

import "fmt"

// IsBalanced tells whether every bracket of a text is closed by its like, in the right order.
func IsBalanced(text string) bool {
// body
	closers := map[rune]rune{'(': ')', '[': ']', '{': '}'}
	var expected []rune
	for _, sign := range text {
		if closer, ok := closers[sign]; ok {
			expected = append(expected, closer)
			continue
		}
		if sign == ')' || sign == ']' || sign == '}' {
			if len(expected) == 0 || expected[len(expected)-1] != sign {
				return false
			}
			expected = expected[:len(expected)-1]
		}
	}
	return len(expected) == 0
}
// check
check(IsBalanced("a(b[c]{d})"))
check(!IsBalanced("(]"))
check(!IsBalanced("(("))

// problem: Map
package main

import "fmt"

// Map applies a function to every item.
func Map[T, U any](items []T, apply func(T) U) []U {
// body
	mapped := make([]U, len(items))
	for i, item := range items {
		mapped[i] = apply(item)
	}
	return mapped
}
// check
check(fmt.Sprint(Map([]int{1, 2}, func(x int) string { return fmt.Sprint(x * 2) })) == "[2 4]")

// problem: GCD
package main

import "fmt"

// GCD is the greatest common divisor.
func GCD(a, b int) int {
// body
	for b != 0 {
		a, b = b, a%b
	}
	if a < 0 {
		return -a
	}
	return a
}
// check
check(GCD(12, 18) == 6)
check(GCD(7, 0) == 7)

// problem: PrimesBelow
package main

import "fmt"

// PrimesBelow returns all primes below a limit.
func PrimesBelow(limit int) []int {
// body
	isComposite := make([]bool, limit)
	var primes []int
	for candidate := 2; candidate < limit; candidate++ {
		if isComposite[candidate] {
			continue
		}
		primes = append(primes, candidate)
		for multiple := candidate * candidate; multiple < limit; multiple += candidate {
			isComposite[multiple] = true
		}
	}
	return primes
}
// check
check(fmt.Sprint(PrimesBelow(12)) == "[2 3 5 7 11]")

// problem: Account
package main

import (
	"errors"
	"fmt"
)

// ErrTooLittle says that an account holds less than what is wanted.
var ErrTooLittle = errors.New("too little money")

// Account is an account whose balance never falls below zero.
type Account struct {
	Owner   string
	balance int
}

// Deposit adds an amount.
func (a *Account) Deposit(amount int) {
// body
	a.balance += amount
}

// Withdraw takes an amount, and returns what is left.
func (a *Account) Withdraw(amount int) (int, error) {
	if amount > a.balance {
		return a.balance, fmt.Errorf("%s: %w", a.Owner, ErrTooLittle)
	}
	a.balance -= amount
	return a.balance, nil
}
// check
account := &Account{Owner: "Ada"}
account.Deposit(10)
left, err := account.Withdraw(4)
check(left == 6 && err == nil)
_, err = account.Withdraw(7)
check(errors.Is(err, ErrTooLittle))

// problem: SortedKeys
package main

import (
	"fmt"
	"sort"
)

// SortedKeys returns the keys of a map in order.
func SortedKeys(values map[string]int) []string {
// body
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
// check
check(fmt.Sprint(SortedKeys(map[string]int{"b": 1, "a": 2})) == "[a b]")

// problem: Wrap
package main

import (
	"fmt"
	"strings"
)

// Wrap breaks a text into lines of at most width bytes, between words.
func Wrap(text string, width int) []string {
// body
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
// check
check(strings.Join(Wrap("the quick brown fox", 9), "|") == "the quick|brown fox")
check(fmt.Sprint(len(Wrap("", 9))) == "0")

// problem: Area
package main

import (
	"fmt"
	"math"
)

// Shape is whatever has an area.
type Shape interface {
	Area() float64
}

// Circle is given by its radius, Rectangle by its sides.
type Circle struct{ Radius float64 }
type Rectangle struct{ Width, Height float64 }

// Area of a circle.
func (c Circle) Area() float64 {
// body
	return math.Pi * c.Radius * c.Radius
}

// Area of a rectangle.
func (r Rectangle) Area() float64 {
	return r.Width * r.Height
}

// TotalArea adds up the areas of shapes.
func TotalArea(shapes []Shape) float64 {
	total := 0.0
	for _, shape := range shapes {
		total += shape.Area()
	}
	return total
}
// check
check(fmt.Sprintf("%.2f", TotalArea([]Shape{Rectangle{2, 3}, Circle{1}})) == "9.14")

// problem: MergeSorted
package main

import "fmt"

// MergeSorted merges two ascending lists into one.
func MergeSorted(left, right []int) []int {
// body
	merged := make([]int, 0, len(left)+len(right))
	i, j := 0, 0
	for i < len(left) && j < len(right) {
		if left[i] <= right[j] {
			merged = append(merged, left[i])
			i++
		} else {
			merged = append(merged, right[j])
			j++
		}
	}
	merged = append(merged, left[i:]...)
	return append(merged, right[j:]...)
}
// check
check(fmt.Sprint(MergeSorted([]int{1, 4}, []int{2, 9})) == "[1 2 4 9]")

// problem: Caesar
package main

import (
	"fmt"
	"strings"
)

// Caesar moves every small letter by some places in the alphabet, and leaves the rest alone.
func Caesar(text string, shift int) string {
// body
	var moved strings.Builder
	for _, letter := range text {
		if letter >= 'a' && letter <= 'z' {
			place := (int(letter-'a') + shift%26 + 26) % 26
			letter = rune('a' + place)
		}
		moved.WriteRune(letter)
	}
	return moved.String()
}
// check
check(Caesar("xyz!", 3) == "abc!")
check(Caesar("abc", -1) == "zab")

// problem: BinarySearch
package main

import "fmt"

// BinarySearch returns the index of a number in an ascending list, or -1.
func BinarySearch(numbers []int, wanted int) int {
// body
	low, high := 0, len(numbers)-1
	for low <= high {
		middle := (low + high) / 2
		switch {
		case numbers[middle] == wanted:
			return middle
		case numbers[middle] < wanted:
			low = middle + 1
		default:
			high = middle - 1
		}
	}
	return -1
}
// check
check(BinarySearch([]int{1, 3, 5, 9}, 9) == 3)
check(BinarySearch([]int{1, 3, 5, 9}, 4) == -1)

// problem: ParseDuration
package main

import "fmt"

// ParseDuration returns the seconds that a text such as "1h20m5s" stands for.
func ParseDuration(text string) (int, error) {
// body
	units := map[rune]int{'h': 3600, 'm': 60, 's': 1}
	seconds, number := 0, 0
	for _, sign := range text {
		if sign >= '0' && sign <= '9' {
			number = 10*number + int(sign-'0')
			continue
		}
		unit, ok := units[sign]
		if !ok {
			return 0, fmt.Errorf("unknown unit %q", sign)
		}
		seconds += number * unit
		number = 0
	}
	return seconds, nil
}
// check
seconds, err := ParseDuration("1h20m5s")
check(seconds == 4805 && err == nil)
_, err = ParseDuration("5x")
check(err != nil)

// problem: Transpose
package main

import "fmt"

// Transpose turns the rows of a matrix into its columns.
func Transpose(rows [][]int) [][]int {
// body
	if len(rows) == 0 {
		return nil
	}
	columns := make([][]int, len(rows[0]))
	for i := range columns {
		for _, row := range rows {
			columns[i] = append(columns[i], row[i])
		}
	}
	return columns
}
// check
check(fmt.Sprint(Transpose([][]int{{1, 2}, {3, 4}})) == "[[1 3] [2 4]]")

// problem: SumAll
package main

import (
	"fmt"
	"sync"
)

// SumAll adds up lists of numbers, each in a goroutine of its own.
func SumAll(lists [][]int) int {
// body
	var (
		wait  sync.WaitGroup
		guard sync.Mutex
		total int
	)
	for _, list := range lists {
		wait.Add(1)
		go func(numbers []int) {
			defer wait.Done()
			sum := 0
			for _, number := range numbers {
				sum += number
			}
			guard.Lock()
			defer guard.Unlock()
			total += sum
		}(list)
	}
	wait.Wait()
	return total
}
// check
check(SumAll([][]int{{1, 2}, {3}, nil}) == 6)

// problem: Filter
package main

import "fmt"

// Filter keeps the items for which a test holds.
func Filter[T any](items []T, test func(T) bool) []T {
// body
	var kept []T
	for _, item := range items {
		if test(item) {
			kept = append(kept, item)
		}
	}
	return kept
}
// check
check(fmt.Sprint(Filter([]int{1, 2, 3, 4}, func(x int) bool { return x%2 == 0 })) == "[2 4]")
