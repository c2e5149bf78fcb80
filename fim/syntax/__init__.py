"""What the syntax tree says of a place: literal or code, block, parse errors. `tree.parsed` is the door."""
