"""Following an event's log from outside: a second pair of eyes, and a second copy. Needs core and tlog."""
