"""What sends heartbeats: streamcount.js for pages, client.py for Python programs."""
