"""Fields, and the filters made of them. Parsing needs sqlglot and is imported only when used."""
