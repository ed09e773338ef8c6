"""Text completions, the older format of OpenAI's that vLLM, llama.cpp and others still serve."""
