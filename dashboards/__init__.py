"""Grafana dashboards as code; the JSON beside each is written by it."""
