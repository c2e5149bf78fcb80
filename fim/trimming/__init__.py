"""From the engine's raw text to what may be inserted. `trim.trim` runs the rules; each file is one kind of rule."""
