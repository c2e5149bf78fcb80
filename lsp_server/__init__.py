"""The language server: `stdio.run_stdio` serves one editor, `tcp.run_tcp` any number. Never imports PyTorch."""
