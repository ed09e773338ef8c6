"""OpenAI's Responses API, and what Azure, OpenRouter, xAI, vLLM and others make of it."""
