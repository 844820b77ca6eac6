"""A crowd of real websocket viewers that knows, from acknowledgements alone, what the counts must be."""
