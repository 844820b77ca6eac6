"""Load and measurement: locust's viewers, and benchmarks that print tables."""
