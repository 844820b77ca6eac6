"""The operators' side: API, console, metrics."""
