"""The engine's client: `engine_client.EngineClient` starts the shared process and sends requests. Without PyTorch."""
