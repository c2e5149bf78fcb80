"""Names of models (`embedded.find_model`) and their measured speeds on this machine (`speeds`), without weights."""
