-- events.lua: a worker looks whether the directory is another than the one it knows.
--
-- KEYS  1 version    2 events
-- ARGV  1 the version it knows, '' when none
--
-- Returns the version, and the events as a flat list when it is another one; or '' when there is none.

local version = redis.call('GET', KEYS[1]) or ''
if version == '' or version == ARGV[1] then
  return {version, {}}
end
return {version, redis.call('HGETALL', KEYS[2])}
