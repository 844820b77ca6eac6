-- read.lua: the notary seals what can be sealed and reads what is sealed and not archived yet.
--
-- KEYS  1 meta       2 members    3 journal
--       then, for each tick from ARGV[2] on: presence, breaks, streams, tallies
-- ARGV  1 epoch
--       2 first tick asked for
--       3 how many entries of the journal have been read, since arming
--       4 how many more to read at the most
--
-- Returns the state (fence.lua), then the new entries of the journal, then for each sealed tick asked
-- for a list {presence, breaks, streams, tallies as a flat list}, then the members as a flat list.
-- Registrations stand in the journal before any bit that uses them, so all that a sealed tick needs is
-- in one reply, unless more entries were left than asked for; then no tick is returned.

local meta, fenced = fence()
if not meta then
  return fenced
end
seal(meta, KEYS[2], KEYS[3])

local from, have, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local start = have - meta.journal_base
local journal = redis.call('LRANGE', KEYS[3], start, start + most - 1)
local complete = redis.call('LLEN', KEYS[3]) <= start + #journal

local ticks = {}
if complete then
  for key = 4, #KEYS, 4 do
    if from + #ticks > meta.sealed then
      break
    end
    ticks[#ticks + 1] = {
      redis.call('GET', KEYS[key]) or '', redis.call('GET', KEYS[key + 1]) or '',
      redis.call('GET', KEYS[key + 2]) or '', redis.call('HVALS', KEYS[key + 3])
    }
  end
end

local reply = state_of(meta, OK)
reply[#reply + 1] = journal
reply[#reply + 1] = ticks
reply[#reply + 1] = redis.call('HGETALL', KEYS[2])
return reply
