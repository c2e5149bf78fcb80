"""The language server and the `quicksilver` command line. Never imports torch.

The import path is cleaned here, before anything else of ours is imported: this is the first code of ours that runs.
"""

from .import_path import leave_working_folder_out

leave_working_folder_out()
