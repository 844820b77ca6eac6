-- trace.lua: a test of a page begins, or a worker writes what it sees of its connections.
--
-- KEYS  1 the test: a hash, "event" -> the event's id, and for each connection its name -> its trace
-- ARGV  1 milliseconds the test lives, if it begins; '0' if it has to be there
--       2 connections it may have
--       then fields and values in turn; a connection's name begins with the milliseconds of its hello
--
-- Not fenced, as it is nothing counted. A test that is over is not brought back: its time to live is
-- set once. Writing the same again changes nothing. With too many connections the oldest are forgotten.
--
-- Returns 1, or 0 when there is no such test.

local life_ms = tonumber(ARGV[1])
if life_ms > 0 then
  redis.call('UNLINK', KEYS[1])
elseif redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
for i = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
if life_ms > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
-- "event" is one of the fields, and the last of all names.
local over = redis.call('HLEN', KEYS[1]) - 1 - tonumber(ARGV[2])
if over > 0 then
  local names = redis.call('HKEYS', KEYS[1])
  table.sort(names)
  for i = 1, over do
    redis.call('HDEL', KEYS[1], names[i])
  end
end
return 1
