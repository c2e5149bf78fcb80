"""Which installed model is served: how fast each is on this machine."""
