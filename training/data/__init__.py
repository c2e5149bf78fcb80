"""Turns documents into training samples: holes, canvases and their noise. `samples.SampleStream` is the door."""
