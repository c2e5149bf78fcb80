"""The engine's HTTP API: routes, authentication, and the dialects. `app.create_app` is the door.

`POST /v1/fill` takes a `CompletionRequest` as JSON and answers with a `Completion`; `/v1/completions` speaks OpenAI's
dialect, `llamacpp/` llama.cpp's and `ollama/` Ollama's; `/health` and `/metrics` tell how the engine is. A body is
checked before anything is done with it, and a client that closes the connection cancels its request.
"""
