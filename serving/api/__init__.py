"""The engine's HTTP API: routes, authentication, and the dialects. `app.create_app` is the door.

`POST /v1/fill` takes a `CompletionRequest` as JSON and answers with a `Completion`. Of the dialects, `openai` has
OpenAI's `/v1/completions`, `chat` its chat, `fim` what Mistral and Inception share, `llamacpp/` and `ollama/` those of
these two servers; `/health` and `/metrics` tell how the engine is. A body is checked before anything is done with it,
and a client that closes the connection cancels its request.
"""
