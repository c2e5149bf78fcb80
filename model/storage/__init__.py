"""Tensor and JSON files, read without trust and written whole or not at all. `folder_files.open_file` opens them."""
