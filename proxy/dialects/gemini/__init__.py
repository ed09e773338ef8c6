"""Gemini's API, as the Gemini API and Vertex AI speak it."""
