"""What clients of the engine's HTTP API wait for: `infill_server.run_infill_server`, `streams.run_streams`."""
