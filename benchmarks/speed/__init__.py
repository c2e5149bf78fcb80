"""How fast: keystrokes, steps, throughput, against peers."""
