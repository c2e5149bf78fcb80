"""The `quicksilver` command: reads command lines, puts the parts together, reports the result. Never imports torch.

The import path is cleaned here, before anything else of ours is imported: this is the first code of ours that runs.
"""

from .import_path import leave_working_folder_out

leave_working_folder_out()
