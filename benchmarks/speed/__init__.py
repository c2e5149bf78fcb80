"""Speed: keystrokes, steps, throughput, peers. Each file has a plan and a function for it (`latency.run_latency`)."""
