"""Stress tests of server and engine: `protocol.run_protocol`, `soak.run_soak`, `keystroke.run_keystroke`."""
