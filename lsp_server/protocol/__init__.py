"""pygls made strict: framing, parameters, stdio and TCP, and a client without an editor."""
