"""Servers and networks that misbehave on purpose: real sockets on loopback, no mocks."""
