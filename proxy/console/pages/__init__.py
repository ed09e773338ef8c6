"""The pages: rendered by the server, whole without scripts; the templates escape everything."""
