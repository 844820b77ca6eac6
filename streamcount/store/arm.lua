-- arm.lua: the last step of arming: meta is written, and with it the bucket counts again.
--
-- KEYS  1 meta       2 registry   3 members
-- ARGV  1 the run id of the server that is being armed
--       2 how many viewers the registry has to hold after loading
--       3 how many ARGV of members follow: node, "<boot> <delivered>", node, ...
--       then the members, then the fields of meta: name, value, name, ...
--
-- Returns 1, or 0 when this is another server or not all of the registry is there: something was lost
-- between the steps, and arming has to begin again.

if string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') ~= ARGV[1]
    or redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[2]) then
  return 0
end
local members = tonumber(ARGV[3])
for i = 4, 3 + members, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'run_id', ARGV[1], unpack(ARGV, 4 + members))
return 1
