"""llama.cpp's dialect: `POST /infill`, `POST /completion` (also `/completions`), `GET /props` and `GET /slots`.

As llama-server answers, but for this: without `temperature` the likeliest tokens are taken (its own default of 0.8
makes completions worse); `n_predict` 0 gives an empty text; `grammar` and `json_schema` are refused, since an answer
that ignores them is wrong; blank lines pass `n_indent`; and `t_max_predict_ms` is part of a budget for all of the
work (`body.budget_of`). Samplers, penalties, `cache_prompt`, `lora` and other fields are ignored. Fields of our own:
`language`, `path` and, for `/completion`, `infilling_marks`. The door is `LlamaCppDialect`.
"""

from .dialect import LlamaCppDialect as LlamaCppDialect
