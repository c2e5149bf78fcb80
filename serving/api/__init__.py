"""The engine's HTTP API: routes, authentication, and OpenAI's dialect. `app.create_app` is the door."""
