"""Chat completions, as OpenAI defined them and as Azure, OpenRouter, Groq, vLLM and others vary them."""
