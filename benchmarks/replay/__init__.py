"""People type real code again, with the real language server beside them."""
