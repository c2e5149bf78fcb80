"""The language server and the `quicksilver` command line. Never imports torch."""
