"""The engine process (`process`, `engine`), its HTTP API (`api`) and its client without PyTorch (`client`), and
servers of others to compare with (`elsewhere`)."""
