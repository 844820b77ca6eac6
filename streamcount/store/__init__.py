"""Redis or Valkey: where the workers' heartbeats of a tick meet. Never the evidence."""
