-- server.lua: which server has a bucket, what time it is there, and who is a member, whatever the epoch.
--
-- KEYS  1 meta       2 members
-- ARGV  none
--
-- Returns the run id, the time in microseconds, the members as a flat list, epoch and archived of meta.
-- A replica that still answers for a master, because it was one, says so: nothing must be begun with it.

if string.match(redis.call('INFO', 'replication'), 'role:(%w+)') ~= 'master' then
  return redis.error_reply('READONLY this server is a replica now')
end
local time = redis.call('TIME')
local members, latest = {}, {false, false}
if redis.call('TYPE', KEYS[1]).ok == 'hash' then
  latest = redis.call('HMGET', KEYS[1], 'epoch', 'archived')
end
if redis.call('TYPE', KEYS[2]).ok == 'hash' then
  members = redis.call('HGETALL', KEYS[2])
end
return {
  string.match(redis.call('INFO', 'server'), 'run_id:(%w+)'), time[1] * 1000000 + time[2], members, latest
}
