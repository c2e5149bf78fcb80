"""One request from text to text. `infiller.load_infiller` is the door, `job` the work on one request."""
