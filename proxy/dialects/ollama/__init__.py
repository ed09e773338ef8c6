"""Ollama's own API: chat, generate, embed and the older embeddings."""
