"""What an editor can tell the server or ask of it, one file for each kind of message."""
