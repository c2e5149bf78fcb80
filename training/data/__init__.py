"""From documents to training samples: where holes are cut, canvases and their noise."""
