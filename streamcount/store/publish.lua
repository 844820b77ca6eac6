-- publish.lua: the notary writes the whole directory, unless this version of it is there.
--
-- KEYS  1 version    2 events
-- ARGV  1 the version
--       then, for each event: its id, its listing
--
-- Returns 1 when it was written.

if redis.call('GET', KEYS[1]) == ARGV[1] then
  return 0
end
redis.call('UNLINK', KEYS[1], KEYS[2])
for i = 2, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
