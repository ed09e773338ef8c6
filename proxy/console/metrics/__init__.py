"""What ``/metrics`` tells Prometheus: processes, the store, and calls as they come."""
