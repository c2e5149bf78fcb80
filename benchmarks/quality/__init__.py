"""Quality on holes of held-out packages: decoders, scores, reports. `heldout.main`, `cursors.main`."""
