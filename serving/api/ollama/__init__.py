"""Ollama's dialect: `POST /api/generate`, `POST /api/chat`, and what clients ask before: `/api/show`, `/api/tags`,
`/api/ps`, `/api/version` and `/`.

As Ollama answers, but for this: without `temperature` the likeliest tokens are taken, and a model is never unloaded or
changed by a request. `system`, `template`, `context`, `raw`, `keep_alive` and other options are accepted and ignored;
formats, images, tools and thinking are refused, since an answer without them is another one. Infilling works with
`suffix`, or with marks in the prompt. Streams are lines of JSON (NDJSON), and are the default. The door is
`OllamaDialect`.
"""

from .dialect import OllamaDialect as OllamaDialect
