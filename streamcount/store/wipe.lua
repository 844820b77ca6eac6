-- wipe.lua: the first step of arming: everything of the bucket goes, meta first of all.
--
-- KEYS  every key the bucket can have, meta first
-- ARGV  1 the run id of the server that is to be armed
--
-- Returns 1, or 0 when this is another server.

if string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') ~= ARGV[1] then
  return 0
end
for _, key in ipairs(KEYS) do
  redis.call('UNLINK', key)
end
return 1
