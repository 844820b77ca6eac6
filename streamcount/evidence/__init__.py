"""Evidence: packs that anybody can check, and the checking. Knows core and tlog only."""
