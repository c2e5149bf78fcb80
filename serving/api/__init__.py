"""What the engine answers over HTTP: routes, who may ask, and one file for each dialect."""
