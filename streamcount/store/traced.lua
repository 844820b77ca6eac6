-- traced.lua: the notary's side reads a test of a page.
--
-- KEYS  1 the test, as trace.lua keeps it
-- ARGV  none
--
-- Returns its fields and values in turn; nothing when there is no such test.

return redis.call('HGETALL', KEYS[1])
