"""What every command shares: how a command line is read, and what is printed while a person waits."""
